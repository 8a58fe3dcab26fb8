// What all scopes of one graph share. Private to the engine.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "moxing/scope.h"
#include "tensorflow/core/common_runtime/shape_refiner.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/graph/graph.h"

namespace mox {

class GraphState {
 public:
  GraphState();

  tensorflow::Graph graph;
  absl::Status status;
  tensorflow::ShapeRefiner refiner;
  tensorflow::Scope root;  // names from the top: variables live here, whatever scope asks for them

  std::vector<Variable> variables;               // in order of creation
  std::map<std::string, size_t> variable_index;  // name -> index in variables
  std::set<std::string> taken_names;             // of another graph's variables: an optimizer's state gets other names
  std::string variable_device;                   // where variables live; "" = where the runtime wants

  using CollectionKey = std::pair<std::string, std::string>;  // (tower, key)
  std::map<CollectionKey, std::vector<tensorflow::Output>> collections;
  std::map<std::string, std::vector<std::string>> text_collections;  // e.g. class names
  // Regularisation is added once a tower and variable, as tf.get_variable does.
  std::map<CollectionKey, bool> regularized;
  std::set<CollectionKey> asked_for;  // variables, by tower, that no scope that reuses asked for

  // Placeholders that are fed once, when iterators are initialised: data sets in memory stay out of the GraphDef.
  std::vector<std::pair<std::string, tensorflow::Tensor>> iterator_feeds;
  std::vector<std::string> iterator_initializers;  // names of ops

  int64_t seed = 0;  // 0: not seeded
  int64_t seed_count = 0;

  // Which variables are made as pieces, and the pieces of those that were, by the whole's name (split_variables.h).
  struct Split {
    std::string scope, prefix;
    int count = 1;
  };
  Split split;
  std::map<std::string, std::vector<Variable>> pieces;

  tensorflow::GraphDef to_graph_def() const;
};

// Throws Error(`what`: the status's message) unless ok. The only place where a Status becomes an exception.
void throw_if_error(const absl::Status& status, const std::string& what);

}  // namespace mox
