#include "engine/npy.h"

#include <cstring>

#include "base/pattern.h"
#include "moxing/error.h"

namespace mox::cli {

namespace tf = tensorflow;

namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicSize = 6;

struct Type {
  const char* descr;
  tf::DataType dtype;
};
constexpr Type kTypes[] = {{"|u1", tf::DT_UINT8}, {"|i1", tf::DT_INT8}, {"<i2", tf::DT_INT16}, {"<i4", tf::DT_INT32},
                           {"<i8", tf::DT_INT64}, {"<f2", tf::DT_HALF}, {"<f4", tf::DT_FLOAT}, {"<f8", tf::DT_DOUBLE}};

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw DataError(path + " is no .npy array that can be read: " + why);
}

std::string field(const std::string& header, const std::string& pattern, const std::string& path) {
  const auto found = Pattern(pattern).matches(header);
  if (found.empty()) reject(path, "its header is '" + header + "'");
  return found[0][1];
}

}  // namespace

tf::Tensor parse_npy(const std::string& bytes, const std::string& path) {
  if (bytes.size() < 10 || bytes.compare(0, kMagicSize, kMagic) != 0) reject(path, "it does not start with \\x93NUMPY");
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const bool long_header = byte(6) >= 2;
  const size_t start = long_header ? 12 : 10;
  if (bytes.size() < start) reject(path, "its header is cut off");
  size_t length = byte(8) | byte(9) << 8;
  if (long_header) length |= static_cast<size_t>(byte(10)) << 16 | static_cast<size_t>(byte(11)) << 24;
  if (bytes.size() < start + length) reject(path, "its header is cut off");
  const std::string header = bytes.substr(start, length);

  const std::string descr = field(header, "'descr':\\s*'([^']+)'", path);
  if (field(header, "'fortran_order':\\s*(\\w+)", path) != "False")
    reject(path, "it is in Fortran order; save np.ascontiguousarray(a)");
  tf::TensorShape shape;
  const std::string dims = field(header, "'shape':\\s*\\(([^)]*)\\)", path);
  for (const auto& number : Pattern("\\d+").matches(dims)) shape.AddDim(std::stoll(number[0]));
  for (const Type& type : kTypes) {
    if (descr != type.descr) continue;
    tf::Tensor tensor(type.dtype, shape);
    const size_t size = tensor.tensor_data().size();
    if (bytes.size() - start - length != size)
      reject(path, "it holds " + std::to_string(bytes.size() - start - length) +
                       " bytes of data, shape and type need " + std::to_string(size));
    std::memcpy(const_cast<char*>(tensor.tensor_data().data()), bytes.data() + start + length, size);
    return tensor;
  }
  reject(path, "its type is '" + descr + "'; float32 and uint8 are the usual ones");
}

std::string format_npy(const tf::Tensor& tensor) {
  std::string dims;
  for (int i = 0; i < tensor.dims(); ++i) dims += std::to_string(tensor.dim_size(i)) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + dims + "), }";
  // The data starts at a multiple of 64, as the format asks.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes(kMagic, kMagicSize);
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes += std::string(tensor.tensor_data());
  return bytes;
}

}  // namespace mox::cli
