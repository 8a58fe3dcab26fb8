// Weights that are not finite: training cannot go on from them, and a checkpoint of them is worse than none.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/built_graph.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// "nan" or "inf", with the place: "nan at element 17 of [3,4]". Nothing when all values are finite, and for types that
// have no others. Reads every element once, at the speed of the memory.
std::optional<std::string> first_not_finite(const tensorflow::Tensor& tensor);

// Tells the variables whose values must be finite: those that are trained or that the graph changes (slots of the
// optimizer, moving averages). What only an initializer sets may hold anything, as a mask of -inf does; a scalar that
// is not trained may be infinite, as the best value so far is at first.
class FiniteWeights {
 public:
  explicit FiniteWeights(const BuiltGraph& graph);

  // "the variable conv1/weights holds nan (element 17 of [5,5,1,32])"; "" when all is well.
  std::string problem(const std::string& name, const tensorflow::Tensor& value) const;
  std::string problem(const std::vector<std::pair<std::string, tensorflow::Tensor>>& values) const;

 private:
  std::set<std::string> checked_, trained_;
};

}  // namespace mox
