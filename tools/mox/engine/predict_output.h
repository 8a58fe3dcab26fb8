// What mox predict writes: a table, CSV or JSON lines.
#pragma once

#include <string>
#include <vector>

#include "tensorflow/core/framework/tensor.h"

namespace mox::cli {

// What is classified: image files, or the rows of one array.
struct Samples {
  std::vector<std::string> paths;
  tensorflow::Tensor array;  // [N, height, width, channels]; used when there are no paths
  int64_t size() const { return paths.empty() ? array.dim_size(0) : static_cast<int64_t>(paths.size()); }
  std::string name(int64_t i) const { return paths.empty() ? std::to_string(i) : paths[static_cast<size_t>(i)]; }
};

struct Predictions {
  const Samples& samples;
  const tensorflow::Tensor& scores;       // float [samples, classes]
  const std::vector<std::string>& names;  // of the classes; may be fewer, or none
  const char* value;                      // what a score is: "probability", "logit"
  int top_k = 1;
};

// An object a sample.
std::string json_lines(const Predictions& predictions);
// Aligned columns, for people.
std::string table(const Predictions& predictions);
// RFC 4180, with a head; a line a class shown: image, rank (with several), label, class, value.
std::string csv(const Predictions& predictions);

}  // namespace mox::cli
