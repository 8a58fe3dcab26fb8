// Parts of a folder of images: what a training keeps back to validate on.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "moxing/error.h"
#include "moxing/metadata.h"
#include "tensorflow/core/lib/hash/hash.h"

namespace mox {

ImageClassificationRawMetadata ImageClassificationRawMetadata::subset(
    const std::function<bool(const ImageFile&)>& keep) const {
  ImageClassificationRawMetadata part = *this;
  part.images_ = images_.subset(keep);
  if (part.images_.empty())
    throw DataError(fmt::format("of the {} images of {} none is left in this part", images_.size(), data_dir_));
  return part;
}

std::vector<std::string> ImageClassificationRawMetadata::part_of_each_class(double part, int64_t seed) const {
  if (!(part > 0 && part < 1))
    throw InvalidArgumentError(fmt::format("a part of each class is {}, expected more than 0 and less than 1", part));
  // By hash, then by name, as the images of a class are.
  std::vector<std::vector<std::pair<uint64_t, size_t>>> classes(labels_list_.size());
  for (size_t i = 0; i < images_.size(); ++i) {
    const ImageFile image = images_[i];
    classes[image.label].emplace_back(tensorflow::Hash64(fmt::format("{}\n{}", seed, image.name)), i);
  }
  std::vector<std::string> names;
  for (auto& images : classes) {
    std::sort(images.begin(), images.end());
    const auto count = static_cast<int64_t>(images.size());
    int64_t taken = std::llround(part * static_cast<double>(count));
    if (count >= 2) taken = std::clamp<int64_t>(taken, 1, count - 1);
    if (count == 1) taken = 0;
    for (int64_t i = 0; i < taken; ++i) names.push_back(images_[images[i].second].name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mox
