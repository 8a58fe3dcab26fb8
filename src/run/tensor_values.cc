#include "run/tensor_values.h"

#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

double scalar_value(const tf::Tensor& tensor, const std::string& name) {
  if (tensor.NumElements() != 1)
    throw InvalidArgumentError("'" + name + "' must be a scalar, its shape is " + tensor.shape().DebugString() +
                               "; reduce it (reduce_mean) in model_fn");
  switch (tensor.dtype()) {
    case tf::DT_FLOAT:
      return tensor.flat<float>()(0);
    case tf::DT_DOUBLE:
      return tensor.flat<double>()(0);
    case tf::DT_HALF:
      return static_cast<float>(tensor.flat<Eigen::half>()(0));
    case tf::DT_BFLOAT16:
      return static_cast<float>(tensor.flat<tf::bfloat16>()(0));
    case tf::DT_INT64:
      return static_cast<double>(tensor.flat<int64_t>()(0));
    case tf::DT_INT32:
      return tensor.flat<int32_t>()(0);
    case tf::DT_INT16:
      return tensor.flat<int16_t>()(0);
    case tf::DT_INT8:
      return tensor.flat<int8_t>()(0);
    case tf::DT_UINT8:
      return tensor.flat<uint8_t>()(0);
    case tf::DT_BOOL:
      return tensor.flat<bool>()(0);
    default:
      throw InvalidArgumentError("'" + name + "' must be a number, its type is " + tf::DataTypeString(tensor.dtype()));
  }
}

}  // namespace mox
