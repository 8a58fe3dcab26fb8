#include "data/idx.h"

#include <algorithm>

#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace tf = tensorflow;

namespace {

[[noreturn]] void broken(const std::string& path, size_t offset, const std::string& what) {
  throw DataError("data file " + path + " is broken at byte " + std::to_string(offset) + ": " + what);
}

uint32_t big_endian(const std::string& content, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(content[offset + i]);
  return value;
}

// The bytes after the header, unpacked to where they stay. Of shape [sizes…].
tf::Tensor read_idx(const std::string& path, size_t dimensions) {
  UnpackedFile file(path);
  std::string header(4 + 4 * dimensions, '\0');
  if (const size_t got = file.read(header.data(), header.size()); got < header.size())
    broken(path, got, "it ends inside the header; expected " + std::to_string(header.size()) + " bytes of header");
  constexpr uint32_t kUnsignedBytes = 0x0800;
  const uint32_t expected = kUnsignedBytes + static_cast<uint32_t>(dimensions);
  if (const uint32_t magic = big_endian(header, 0); magic != expected)
    broken(path, 0,
           "magic number " + std::to_string(magic) + ", expected " + std::to_string(expected) +
               " (idx, unsigned bytes, " + std::to_string(dimensions) + " dimensions)");
  tf::TensorShape shape;
  double bytes = 1;  // the product may not fit when the header is damaged
  for (size_t i = 0; i < dimensions; ++i) {
    const uint32_t size = big_endian(header, 4 + 4 * i);
    if (size == 0) broken(path, 4 + 4 * i, "a dimension is 0, expected at least 1");
    bytes *= size;
    if (bytes <= kMostFileBytes) shape.AddDim(size);
  }
  tf::Tensor content(tf::DT_UINT8, bytes <= kMostFileBytes ? shape : tf::TensorShape({0}));
  const size_t wanted = content.TotalBytes();
  size_t got = file.read(static_cast<char*>(content.data()), wanted);
  if (got == wanted) got += file.rest().size();
  if (static_cast<double>(got) != bytes)
    broken(path, header.size() + got,
           "there are " + std::to_string(got) + " bytes after the header, expected " +
               std::to_string(static_cast<int64_t>(std::min(bytes, 9e18))) + " by its sizes");
  return content;
}

}  // namespace

tf::Tensor read_idx_images(const std::string& path) {
  const tf::Tensor content = read_idx(path, 3);
  tf::TensorShape shape = content.shape();
  shape.AddDim(1);
  tf::Tensor images;
  if (!images.CopyFrom(content, shape)) throw DataError("data file " + path + " has no images");
  return images;
}

tf::Tensor read_idx_labels(const std::string& path, int64_t num_classes) {
  const tf::Tensor content = read_idx(path, 1);
  const auto bytes = content.vec<uint8_t>();
  tf::Tensor labels(tf::DT_INT64, content.shape());
  auto values = labels.vec<int64_t>();
  for (int64_t i = 0; i < bytes.size(); ++i) {
    values(i) = bytes(i);
    if (values(i) >= num_classes)
      broken(path, static_cast<size_t>(8 + i),
             "label " + std::to_string(values(i)) + ", expected 0 to " + std::to_string(num_classes - 1));
  }
  return labels;
}

}  // namespace mox::data
