// How many samples the classes have.
#include "data/label_classes.h"
#include "data/read_labels.h"
#include "engine/classifier_data.h"

namespace mox::cli {

ClassifierData::ClassCounts ClassifierData::class_counts(const std::string& split,
                                                         const std::vector<std::string>& run_classes) const {
  ClassifierConfig uncached = config_;  // a cache would be filled with labels alone
  uncached.cache_dir.clear();
  const std::unique_ptr<Dataset> dataset = ClassifierData(uncached).open(split, ModeKeys::EVAL);
  const data::LabelMap map = label_map(config_, *dataset, ModeKeys::TRAIN, run_classes);
  std::vector<int64_t> counts(static_cast<size_t>(config_.num_classes));
  const auto count = [&](int64_t label) {
    if (const int64_t k = map.class_of(label); k >= 0 && k < config_.num_classes) ++counts[static_cast<size_t>(k)];
  };
  if (!for_each_listed_label(split, count)) data::for_each_label(*dataset, name(split), count);
  return {std::move(counts), map.names};
}

}  // namespace mox::cli
