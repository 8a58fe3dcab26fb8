// Own images without a part to evaluate on: what a training keeps back, noted in its folder.
#pragma once

#include <set>
#include <string>

#include "moxing/metadata.h"

namespace mox::cli {

constexpr char kSplitFile[] = "validation_split.json";  // in a run's folder

// The images that are not trained on, by their names below the data's folder.
struct ValidationSplit {
  double part = 0;
  int64_t seed = 0;
  std::set<std::string> images;
};

// A part of each class. DataError when no class has two images.
ValidationSplit make_split(const ImageClassificationRawMetadata& data, double part, int64_t seed);
// dir/validation_split.json; empty when it is not there. DataError for one that cannot be read.
ValidationSplit read_split(const std::string& dir);
void write_split(const ValidationSplit& split, const std::string& dir);

}  // namespace mox::cli
