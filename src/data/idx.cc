#include "data/idx.h"

#include <cstring>
#include <vector>

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

struct Idx {
  std::string content;
  std::vector<int64_t> sizes;
  const char* bytes() const { return content.data() + 4 + 4 * sizes.size(); }
};

Idx read_idx(const std::string& path, size_t dimensions) {
  Idx idx{gunzip_if_packed(path, read_whole_file(path)), {}};
  const std::string& content = idx.content;
  const size_t header = 4 + 4 * dimensions;
  if (content.size() < header)
    broken(path, content.size(), "it ends inside the header; expected " + std::to_string(header) + " bytes of header");
  constexpr uint32_t kUnsignedBytes = 0x0800;
  const uint32_t expected = kUnsignedBytes + static_cast<uint32_t>(dimensions);
  if (const uint32_t magic = big_endian(content, 0); magic != expected)
    broken(path, 0,
           "magic number " + std::to_string(magic) + ", expected " + std::to_string(expected) +
               " (idx, unsigned bytes, " + std::to_string(dimensions) + " dimensions)");
  // The product may not fit when the header is damaged: compare in floating point first.
  double expected_bytes = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    idx.sizes.push_back(big_endian(content, 4 + 4 * i));
    if (idx.sizes.back() == 0) broken(path, 4 + 4 * i, "a dimension is 0, expected at least 1");
    expected_bytes *= static_cast<double>(idx.sizes.back());
  }
  if (const size_t got = content.size() - header; static_cast<double>(got) != expected_bytes)
    broken(path, content.size(),
           "there are " + std::to_string(got) + " bytes after the header, expected " +
               std::to_string(static_cast<int64_t>(std::min(expected_bytes, 9e18))) + " by its sizes");
  return idx;
}

}  // namespace

tf::Tensor read_idx_images(const std::string& path) {
  const Idx idx = read_idx(path, 3);
  tf::Tensor images(tf::DT_UINT8, {idx.sizes[0], idx.sizes[1], idx.sizes[2], 1});
  std::memcpy(images.data(), idx.bytes(), images.TotalBytes());
  return images;
}

tf::Tensor read_idx_labels(const std::string& path, int64_t num_classes) {
  const Idx idx = read_idx(path, 1);
  tf::Tensor labels(tf::DT_INT64, {idx.sizes[0]});
  auto values = labels.vec<int64_t>();
  for (int64_t i = 0; i < idx.sizes[0]; ++i) {
    values(i) = static_cast<uint8_t>(idx.bytes()[i]);
    if (values(i) >= num_classes)
      broken(path, static_cast<size_t>(8 + i),
             "label " + std::to_string(values(i)) + ", expected 0 to " + std::to_string(num_classes - 1));
  }
  return labels;
}

}  // namespace mox::data
