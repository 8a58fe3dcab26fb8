// What a front end (C++ scopes, or Python's tf.compat.v1) hands to the engine: a graph, and the names in it that
// matter.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/join_gradients.h"
#include "graph/lift_input.h"
#include "moxing/mode_keys.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

struct NamedTensor {
  std::string name;    // what the user calls it
  std::string tensor;  // "node:port"
};

struct VariableInfo {
  std::string name;         // in checkpoints
  std::string handle;       // node of the resource
  std::string initializer;  // op that assigns the initial value
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
  tensorflow::TensorShape shape;
  bool trainable = true;
};

struct TowerInfo {
  std::vector<std::string> losses;  // tensors
  std::vector<NamedTensor> log_info, output_info;
};

struct ExportInfo {
  std::vector<NamedTensor> inputs, outputs;
  std::string version;
};

struct BuiltGraph {
  ModeKeys mode = ModeKeys::TRAIN;
  tensorflow::GraphDef graph;
  std::vector<VariableInfo> variables;
  std::vector<TowerInfo> towers;
  std::vector<GradientSlot> gradients;
  std::vector<std::string> train_ops;     // ops of one step: updates of variables, moving averages, the global step
  std::string global_step;                // variable's name; "" when the graph has none
  std::string learning_rate;              // tensor; "" when unknown
  std::vector<std::string> summaries;     // tensors of serialized Summary protos
  std::vector<std::string> initializers;  // run once with `feeds`: tables, iterators (after variables)
  Feeds feeds;
  std::vector<std::string> class_names;  // in label order, when the data set knows them
  int64_t samples_per_step = 0;          // over all devices of this process
  ExportInfo export_info;                // EXPORT
};

}  // namespace mox
