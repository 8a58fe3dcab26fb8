// What an evaluation leaves for `mox report`: eval.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "moxing/moxing.h"

namespace mox::cli {

// Gathers while the evaluation runs: how often each class was taken for which, and some samples with their pictures.
class EvalRecord {
 public:
  explicit EvalRecord(int64_t num_classes);

  // One step's output_info: images, labels, probabilities.
  void add(const OutputDict& dict);
  // The part of eval.json that it knows: confusion (left out above 100 classes), pictures.
  nlohmann::ordered_json json() const;

 private:
  struct Sample {
    int64_t label, predicted;
    float probability;
    tensorflow::Tensor image;  // [height, width, channels]
  };
  void keep(Sample sample);

  const int64_t num_classes_;
  std::vector<int64_t> confusion_;  // [label][predicted]
  std::vector<Sample> wrong_;       // the surest mistakes, surest first
  std::vector<Sample> right_;       // the first of each class, then others
};

}  // namespace mox::cli
