#include "engine/npy.h"

#include <cstring>
#include <string_view>

#include "base/limits.h"
#include "engine/npy_header.h"
#include "moxing/error.h"
#include "moxing/file_stream.h"

namespace mox::cli {

namespace tf = tensorflow;

namespace {

struct Type {
  const char* descr;
  tf::DataType dtype;
};
constexpr Type kTypes[] = {{"|u1", tf::DT_UINT8}, {"|i1", tf::DT_INT8}, {"<i2", tf::DT_INT16}, {"<i4", tf::DT_INT32},
                           {"<i8", tf::DT_INT64}, {"<f2", tf::DT_HALF}, {"<f4", tf::DT_FLOAT}, {"<f8", tf::DT_DOUBLE}};

tf::DataType type_of(const NpyHeader& header, const std::string& path) {
  for (const Type& type : kTypes)
    if (header.descr == type.descr) return type.dtype;
  reject_npy(path, "its type is '" + header.descr + "'; float32 and uint8 are the usual ones");
}

// A tensor of the header's shape; the file, which has `size` bytes, holds just that.
tf::Tensor tensor_for(const NpyHeader& header, int64_t size, const std::string& path) {
  const tf::DataType type = type_of(header, path);
  const int64_t held = size - header.data_at, bytes_each = tf::DataTypeSize(type);
  if (held % bytes_each != 0 || held / bytes_each != header.values)
    reject_npy(path, "it holds " + std::to_string(held) + " bytes of data, shape and type need " +
                         std::to_string(header.values) + " times " + std::to_string(bytes_each));
  check_fits_memory("the array " + path, static_cast<double>(held), "predict it in parts");
  tf::Tensor tensor(type, tf::TensorShape(header.shape));
  if (!tensor.IsInitialized()) throw RunError("no memory for the " + std::to_string(held) + " bytes of " + path);
  return tensor;
}

}  // namespace

tf::Tensor read_npy(const std::string& path) {
  file::File file(path, "rb");
  const int64_t size = file.size();
  const std::string begin = file.read(std::min(size, kMostNpyHeader));
  const NpyHeader header = parse_npy_header(begin, path);
  tf::Tensor tensor = tensor_for(header, size, path);
  char* to = const_cast<char*>(tensor.tensor_data().data());
  file.seek(header.data_at);
  for (int64_t left = size - header.data_at; left > 0;) {
    const int64_t got = file.read_some(to, left);
    if (got <= 0)
      reject_npy(path, "it ended " + std::to_string(left) + " bytes before its end: it was cut while it was read");
    to += got;
    left -= got;
  }
  return tensor;
}

std::string format_npy(const tf::Tensor& tensor) {
  std::string dims;
  for (int i = 0; i < tensor.dims(); ++i) dims += std::to_string(tensor.dim_size(i)) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + dims + "), }";
  // The data starts at a multiple of 64, as the format asks.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes += std::string(tensor.tensor_data());
  return bytes;
}

}  // namespace mox::cli
