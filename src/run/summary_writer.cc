#include "run/summary_writer.h"

#include "moxing/log.h"
#include "run/histogram.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/event.pb.h"

namespace mox {

namespace tf = tensorflow;

SummaryWriter::SummaryWriter(const std::string& dir) : writer_(tf::io::JoinPath(dir, "events")) {
  const absl::Status status = writer_.Init();
  failed_ = !status.ok();
  if (failed_) log_error("no summaries: cannot write event files in " + dir + ": " + std::string(status.message()));
}

void SummaryWriter::write(tf::Event& event) {
  if (failed_) return;
  event.set_wall_time(tf::Env::Default()->NowMicros() / 1e6);
  writer_.WriteEvent(event);
}

void SummaryWriter::add_graph(const tf::GraphDef& graph) {
  tf::Event event;
  event.set_graph_def(graph.SerializeAsString());
  write(event);
}

void SummaryWriter::add_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  tf::Event event;
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    auto* summary = event.mutable_summary()->add_value();
    summary->set_tag(tag);
    summary->set_simple_value(static_cast<float>(value));
  }
  write(event);
}

void SummaryWriter::add_serialized(int64_t step, const std::string& serialized) {
  tf::Event event;
  event.set_step(step);
  if (event.mutable_summary()->ParseFromString(serialized)) write(event);
}

void SummaryWriter::add_histograms(int64_t step, const std::vector<std::pair<std::string, tf::Tensor>>& variables) {
  tf::Event event;
  event.set_step(step);
  for (const auto& [name, tensor] : variables) {
    if (tensor.NumElements() == 0) continue;
    auto* value = event.mutable_summary()->add_value();
    value->set_tag("variables/" + name);
    if (!fill_histogram(tensor, value->mutable_histo())) event.mutable_summary()->mutable_value()->RemoveLast();
  }
  write(event);
}

void SummaryWriter::flush() {
  if (failed_) return;
  const absl::Status status = writer_.Flush();
  if (status.ok()) return;
  failed_ = true;
  log_error("no more summaries: " + std::string(status.message()));
}

}  // namespace mox
