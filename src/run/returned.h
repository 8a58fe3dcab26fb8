// What the user's functions returned, as a front end tells it: the names, types and shapes that the checks need.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/tensor_info.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// What stands where a tensor is expected.
struct Returned {
  InputTensor tensor;    // where it is one
  std::string instead;   // what it is where it is none: "float"
  bool outside = false;  // a tensor of another graph
};

using NamedReturned = std::pair<std::string, Returned>;

// By input_fn, with the graph of its own that it built.
struct ReturnedInput {
  std::vector<Returned> tensors;
  tensorflow::GraphDef graph;
  Feeds feeds;
  std::vector<std::string> initializers;
  std::vector<std::string> class_names;  // in label order, when the data set knows them
};

// The signature that every exported model has.
inline constexpr char kDefaultSignature[] = "serving_default";

// By model_fn: its ModelSpec.
struct ReturnedSpec {
  struct Signature {
    std::string name;
    std::vector<NamedReturned> inputs, outputs;
  };
  struct Export {
    std::vector<Signature> signatures;  // the first is serving_default
    std::string version;
  };

  std::vector<Returned> losses;
  std::vector<std::vector<std::string>> var_scopes;  // one list a loss; empty: all losses train all variables
  std::vector<NamedReturned> log_info, output_info;
  std::optional<Export> export_spec;
};

}  // namespace mox
