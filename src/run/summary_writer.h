// TensorBoard event files in a folder.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "run/background_log.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/util/events_writer.h"

namespace mox {

// Event files, written in the background. A folder that cannot be written costs the summaries, not the training.
// On a store a new file is begun every 128 KiB: a flush sends a whole object, so the cost stays in line with the
// events.
class MOX_EXPORT SummaryWriter {
 public:
  explicit SummaryWriter(const std::string& dir);
  // Waits until all is written.
  ~SummaryWriter();

  // A session begins at `step`: TensorBoard forgets what an earlier one wrote of this and later steps, which were lost.
  void add_start(int64_t step);
  void add_graph(const tensorflow::GraphDef& graph);
  void add_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  // `serialized` is a Summary proto, as summary operations return it.
  void add_serialized(int64_t step, const std::string& serialized);
  // One a variable of floating point type, named `variables/<name>`.
  void add_histograms(int64_t step, const std::vector<std::pair<std::string, tensorflow::Tensor>>& variables);
  void flush();

 private:
  void add(tensorflow::Event& event);
  void write(const std::vector<std::string>& events);
  void begin_file();

  const std::string dir_;
  // Used by the log's thread only:
  std::unique_ptr<tensorflow::EventsWriter> writer_;
  size_t written_ = 0;  // bytes in the file that is open
  BackgroundLog log_;   // the last member: its thread ends first
};

}  // namespace mox
