#include "run/summary_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>

#include "base/url.h"
#include "graph/graph_state.h"
#include "run/histogram.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/event.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr size_t kLargestFileOnStore = 128 << 10;

}  // namespace

SummaryWriter::SummaryWriter(const std::string& dir)
    : dir_(dir),
      log_("summaries in " + dir, pause_between_writes(dir), [this](const auto& events) { write(events); }) {}

SummaryWriter::~SummaryWriter() = default;

void SummaryWriter::add(tf::Event& event) {
  event.set_wall_time(tf::Env::Default()->NowMicros() / 1e6);
  log_.add(event.SerializeAsString());
}

void SummaryWriter::add_start(int64_t step) {
  tf::Event event;
  event.set_step(step);
  event.mutable_session_log()->set_status(tf::SessionLog::START);
  add(event);
}

void SummaryWriter::add_graph(const tf::GraphDef& graph) {
  tf::Event event;
  event.set_graph_def(graph.SerializeAsString());
  add(event);
}

void SummaryWriter::add_scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  tf::Event event;
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    auto* summary = event.mutable_summary()->add_value();
    summary->set_tag(tag);
    summary->set_simple_value(static_cast<float>(value));
  }
  add(event);
}

void SummaryWriter::add_serialized(int64_t step, const std::string& serialized) {
  tf::Event event;
  event.set_step(step);
  if (event.mutable_summary()->ParseFromString(serialized)) add(event);
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
  add(event);
}

void SummaryWriter::flush() { log_.flush(); }

void SummaryWriter::begin_file() {
  // TensorBoard reads the files of a folder in the order of their names, which begin with the second: within one, the
  // microseconds and the number tell which came first, also of a run that goes on at once after a kill.
  static std::atomic<int> files{0};
  const std::string suffix = fmt::format(".{:016}.{}.{:04}", tf::Env::Default()->NowMicros(), getpid(), files++);
  tf::Env::Default()->RecursivelyCreateDir(dir_).IgnoreError();  // what is wrong with it is told below
  writer_ = std::make_unique<tf::EventsWriter>(tf::io::JoinPath(dir_, "events"));
  written_ = 0;
  throw_if_error(writer_->InitWithSuffix(suffix), "beginning an event file");
}

void SummaryWriter::write(const std::vector<std::string>& events) {
  const bool on_store = has_scheme(dir_);
  if (!writer_ || (on_store && written_ > kLargestFileOnStore)) begin_file();
  try {
    for (const std::string& event : events) {
      writer_->WriteSerializedEvent(event);
      written_ += event.size();
    }
    throw_if_error(writer_->Flush(), "flushing event files");
  } catch (...) {
    writer_.reset();  // what it held is still with the caller: it goes into a new file
    throw;
  }
}

}  // namespace mox
