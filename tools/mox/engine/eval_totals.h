// What an evaluation counts: sums over samples, not over batches, of all and of each class.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "moxing/run.h"

namespace mox::cli {

class EvalTotals {
 public:
  explicit EvalTotals(int64_t num_classes) : classes_(static_cast<size_t>(num_classes)) {}

  // output_info of classifier_model in mode EVAL.
  void add(const OutputDict& dict);

  int64_t samples() const { return samples_; }
  // Those whose loss is no number.
  int64_t no_numbers() const { return no_numbers_; }
  double loss() const { return loss_ / static_cast<double>(samples_); }
  double accuracy() const { return static_cast<double>(top1_) / static_cast<double>(samples_); }
  double top5() const { return static_cast<double>(top5_) / static_cast<double>(samples_); }

  // A line a class: samples, how many of them were found (recall), how many that were taken for it are it (precision).
  // Of more than 100 classes the 20 with the least recall.
  std::string table(const std::vector<std::string>& names) const;
  // [{"class": …, "samples": …, "recall": …, "precision": …}], null where there is nothing to divide by.
  nlohmann::ordered_json by_class(const std::vector<std::string>& names) const;

 private:
  struct OfClass {
    int64_t samples = 0, right = 0, taken_for = 0;
  };

  int64_t samples_ = 0, top1_ = 0, top5_ = 0, no_numbers_ = 0;
  double loss_ = 0;
  std::vector<OfClass> classes_;
};

}  // namespace mox::cli
