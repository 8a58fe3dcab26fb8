// A piece of graph that was built in C++ and is to be imported into another graph, as a MetaGraph is: Python takes
// networks, preprocessing, data sets and learning rates this way.
#pragma once

#include <string>
#include <vector>

#include "graph/tensor_info.h"
#include "moxing/export.h"
#include "moxing/scope.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// A variable that the fragment reads. Its handle is not part of the fragment: the importer maps it to its own.
struct FragmentVariable {
  std::string name;
  std::string handle;         // tensor to be mapped
  std::string initial_value;  // tensor of Fragment::initializers
  tensorflow::DataType dtype;
  tensorflow::TensorShape shape;
  bool trainable = true;
  std::string device;  // "" = where the runtime wants
};

struct RegularizationLoss {
  std::string tensor;
  std::vector<std::string> variables;  // what it regularises: counted once, however often they are used
};

struct Fragment {
  tensorflow::GraphDef graph;         // without input placeholders and variables
  tensorflow::GraphDef initializers;  // computes the initial values
  std::vector<FragmentVariable> variables;
  std::vector<std::string> update_ops;
  std::vector<std::string> summaries;
  std::vector<RegularizationLoss> regularization_losses;
  Feeds feeds;  // placeholders that stay in the graph
  std::vector<std::string> iterator_initializers;
  std::vector<std::string> class_names;
};

// What was built in the scope's graph. `inputs` are placeholders: they are left out, the importer maps them.
MOX_EXPORT Fragment make_fragment(const Scope& scope, const std::vector<tensorflow::Output>& inputs);

}  // namespace mox
