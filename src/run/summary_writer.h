// TensorBoard event files in a folder.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/util/events_writer.h"

namespace mox {

// A folder that cannot be written costs the summaries, not the training: one error line, then it stays silent.
class SummaryWriter {
 public:
  explicit SummaryWriter(const std::string& dir);

  void add_graph(const tensorflow::GraphDef& graph);
  void add_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  // `serialized` is a Summary proto, as summary operations return it.
  void add_serialized(int64_t step, const std::string& serialized);
  // One a variable of floating point type, named `variables/<name>`.
  void add_histograms(int64_t step, const std::vector<std::pair<std::string, tensorflow::Tensor>>& variables);
  void flush();

 private:
  void write(tensorflow::Event& event);

  tensorflow::EventsWriter writer_;
  bool failed_ = false;
};

}  // namespace mox
