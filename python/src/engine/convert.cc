#include <cstring>

#include "module.h"

namespace mox::python {

tf::PartialTensorShape to_shape(const ShapeList& list) {
  return list ? tf::PartialTensorShape(*list) : tf::PartialTensorShape();
}

ShapeList to_list(const tf::PartialTensorShape& shape) {
  if (shape.unknown_rank()) return std::nullopt;
  std::vector<int64_t> sizes;
  for (int i = 0; i < shape.dims(); ++i) sizes.push_back(shape.dim_size(i));
  return sizes;
}

nb::object to_numpy(const tf::Tensor& tensor, const nb::object& new_array) {
  nb::list shape;
  for (int i = 0; i < tensor.dims(); ++i) shape.append(tensor.dim_size(i));
  nb::object array = new_array(shape, static_cast<int>(tensor.dtype()));
  if (tensor.dtype() == tf::DT_STRING) {
    const nb::object flat = array.attr("flat");
    const auto values = tensor.flat<tf::tstring>();
    for (int64_t i = 0; i < values.size(); ++i) flat[nb::int_(i)] = nb::bytes(values(i).data(), values(i).size());
  } else {
    const std::string_view data = tensor.tensor_data();
    const auto address = nb::cast<uintptr_t>(array.attr("ctypes").attr("data"));
    // NOLINTNEXTLINE(performance-no-int-to-ptr): numpy gives the address as a number
    if (!data.empty()) std::memcpy(reinterpret_cast<void*>(address), data.data(), data.size());
  }
  return tensor.dims() == 0 ? nb::object(array[nb::tuple()]) : array;
}

nb::bytes to_bytes(const google::protobuf::MessageLite& message) {
  const std::string text = message.SerializeAsString();
  return nb::bytes(text.data(), text.size());
}

}  // namespace mox::python
