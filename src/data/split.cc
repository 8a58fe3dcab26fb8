#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/storage.h"
#include "moxing/convert.h"
#include "moxing/error.h"
#include "moxing/metadata.h"

namespace mox {

namespace {

constexpr int kCopyThreads = 16;
constexpr uint32_t kSplitSeed = 20;  // any: the same split each time

void check_spec(const SplitSpec& spec) {
  if (spec.empty()) throw InvalidArgumentError("split_spec is empty, expected parts such as train: 0.8, eval: 0.2");
  double sum = 0;
  std::set<std::string> seen;
  for (const auto& [name, fraction] : spec) {
    if (!seen.insert(name).second) throw InvalidArgumentError("split_spec: the part " + name + " is there twice");
    // "." and ".." are folders that the split did not make; others with a '.' in front are hidden from data sets.
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
      throw InvalidArgumentError("split_spec: a part is named '" + name + "', expected the name of a folder");
    if (!(fraction > 0 && fraction <= 1))
      throw InvalidArgumentError("split_spec: part " + name + " is " + std::to_string(fraction) +
                                 ", expected more than 0 and at most 1");
    sum += fraction;
  }
  if (sum > 1 + 1e-9)
    throw InvalidArgumentError("split_spec: the parts add up to " + std::to_string(sum) + ", expected at most 1");
}

struct CopyJob {
  size_t image;
  const std::string* part;
};

// The images of one class, part by part.
void split_class(std::vector<size_t> images, const SplitSpec& spec, std::vector<CopyJob>* jobs) {
  std::mt19937 random(kSplitSeed);
  for (size_t i = images.size(); i > 1; --i) std::swap(images[i - 1], images[random() % i]);
  double sum = 0;
  size_t begin = 0;
  for (const auto& [name, fraction] : spec) {
    sum += fraction;
    const auto end =
        std::min(images.size(), static_cast<size_t>(std::llround(sum * static_cast<double>(images.size()))));
    for (; begin < end; ++begin) jobs->push_back({images[begin], &name});
  }
}

}  // namespace

std::map<std::string, int64_t> split_image_classification_dataset(const SplitSpec& split_spec,
                                                                  const std::string& src_dir,
                                                                  const std::string& dst_dir, bool overwrite) {
  check_spec(split_spec);
  const ImageClassificationRawMetadata metadata(src_dir);  // before anything is removed
  std::vector<std::string> old_parts;
  for (const auto& part : split_spec) {
    const std::string dir = data::join_path(dst_dir, part.first);
    if (data::is_same_or_below(src_dir, dir) || data::is_same_or_below(dir, src_dir))
      throw InvalidArgumentError("the part " + dir + " and the source " + src_dir +
                                 " lie in each other; give a dst_dir outside of it");
    if (data::file_exists(dir)) old_parts.push_back(dir);
  }
  if (!old_parts.empty() && !overwrite)
    throw InvalidArgumentError("folder " + old_parts[0] + " is there already; set overwrite to replace it");
  for (const auto& dir : old_parts) data::remove_folder(dir);
  std::vector<std::vector<size_t>> by_class(metadata.num_classes());
  for (size_t i = 0; i < metadata.images().size(); ++i) by_class[metadata.images()[i].label].push_back(i);
  std::vector<CopyJob> jobs;
  for (auto& images : by_class) split_class(std::move(images), split_spec, &jobs);

  std::map<std::string, int64_t> counts;
  for (const auto& part : split_spec) {
    counts[part.first] = 0;
    // A class of which a part has no image keeps its folder, and with it its number.
    for (const auto& name : metadata.labels_list())
      data::make_folders(data::join_path(data::join_path(dst_dir, part.first), name));
    data::write_whole_file(data::join_path(data::join_path(dst_dir, part.first), "labels.txt"),
                           data::format_labels(metadata.labels_list()));
  }
  for (const auto& job : jobs) ++counts[*job.part];
  data::parallel_for(jobs.size(), kCopyThreads, [&](size_t i) {
    const std::string name = metadata.images()[jobs[i].image].name;
    data::copy_file(data::join_path(src_dir, name), data::join_path(data::join_path(dst_dir, *jobs[i].part), name));
  });
  return counts;
}

}  // namespace mox
