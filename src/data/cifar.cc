// CIFAR-10's binary files: records of one label byte and 3 planes (red, green, blue) of 32x32 bytes.
#include "data/builtin.h"
#include "data/memory_dataset.h"
#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace tf = tensorflow;

namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecord = 1 + 3 * kPlane;

// The files lie in the folder that the published archive makes, or directly in dataset_dir.
std::string find_file(const std::string& dir, const std::string& name) {
  for (const std::string& folder : {dir, join_path(dir, "cifar-10-batches-bin")}) {
    const std::string path = join_path(folder, name);
    if (file_exists(path)) return path;
    if (file_exists(path + ".gz")) return path + ".gz";
  }
  throw NotFoundError("data set folder " + dir + " has no " + name +
                      ", nor has cifar-10-batches-bin in it; expected CIFAR-10's binary version, unpacked");
}

void append_file(const std::string& path, const std::string& content, int64_t num_classes, int64_t first,
                 tf::Tensor* images, tf::Tensor* labels) {
  const int64_t count = static_cast<int64_t>(content.size()) / kRecord;
  auto* pixels = images->flat<uint8_t>().data() + first * 3 * kPlane;
  for (int64_t i = 0; i < count; ++i) {
    const auto* record = reinterpret_cast<const uint8_t*>(content.data()) + i * kRecord;
    if (record[0] >= num_classes)
      throw DataError("data file " + path + " is broken at byte " + std::to_string(i * kRecord) + ": label " +
                      std::to_string(record[0]) + ", expected 0 to " + std::to_string(num_classes - 1));
    labels->vec<int64_t>()(first + i) = record[0];
    for (int64_t p = 0; p < kPlane; ++p)
      for (int64_t c = 0; c < 3; ++c) *pixels++ = record[1 + c * kPlane + p];
  }
}

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                      const DatasetOptions& options) {
  std::vector<std::string> names = {"test_batch.bin"};
  if (split == "train")
    names = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
  std::vector<std::pair<std::string, std::string>> files;  // path, content
  int64_t total = 0;
  for (const auto& name : names) {
    const std::string path = find_file(dir, name);
    files.emplace_back(path, UnpackedFile(path).rest());
    const int64_t size = static_cast<int64_t>(files.back().second.size());
    if (size == 0 || size % kRecord != 0)
      throw DataError("data file " + path + " is broken at byte " + std::to_string(size / kRecord * kRecord) +
                      ": its size, " + std::to_string(size) + ", is not a multiple of a record's, " +
                      std::to_string(kRecord));
    total += size / kRecord;
  }
  tf::Tensor images(tf::DT_UINT8, {total, kSide, kSide, 3});
  tf::Tensor labels(tf::DT_INT64, {total});
  int64_t first = 0;
  for (const auto& [path, content] : files) {
    append_file(path, content, meta.num_classes, first, &images, &labels);
    first += static_cast<int64_t>(content.size()) / kRecord;
  }
  return std::make_unique<MemoryDataset>(MemoryColumns{{{"image", images}, {"label", labels}}, meta.class_names},
                                         split == "train", options);
}

}  // namespace mox::data
