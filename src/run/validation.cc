#include "run/validation.h"

#include "moxing/error.h"
#include "run/sample_count.h"
#include "run/signals.h"
#include "run/tensor_values.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSamples[] = "inter_mode_samples";

// For hooks that are only asked what they feed.
class NoSession : public HookSession {
 public:
  std::vector<tf::Tensor> run(const std::vector<Fetch>&, const FeedDict&) override { refuse(); }
  void restart_input() override { refuse(); }
  void multiply_learning_rate(float) override { refuse(); }
  int num_devices() const override { return 1; }

 private:
  [[noreturn]] static void refuse() { throw Error("a hook that feeds a validation asks for the session"); }
};

}  // namespace

void add_validation(BuiltGraph* graph) { add_sample_count(graph, graph->inter->input, 0, kSamples); }

void Validation::prepare() {
  std::vector<std::string> fetches = {std::string(kSamples) + ":0"}, feeds;
  for (const NamedTensor& info : graph_.inter->log_info) fetches.push_back(info.tensor);
  NoSession session;
  SessionRunContext context(session, 0, 0);
  for (const auto& hook : graph_.inter->hooks) {
    auto* const feeding = dynamic_cast<FeedSessionRunHook*>(hook.get());
    if (!feeding) continue;
    for (const auto& [tensor, value] : feeding->before_run(context).feed_dict) {
      feeds.push_back(tensor.name());
      fed_.push_back(value);
    }
  }
  step_ = session_.prepare(fetches, {}, feeds);
}

std::optional<Validation::Result> Validation::run(const std::function<void(int64_t batches)>& progress) {
  if (!step_) prepare();
  session_.run_operation(graph_.inter->restart_input, graph_.inter->feeds);
  Result result;
  for (const NamedTensor& info : graph_.inter->log_info) result.means.emplace_back(info.name, 0);
  for (int64_t batches = 0; most_batches_ == 0 || batches < most_batches_;) {
    if (SignalGuard::received()) return std::nullopt;
    std::vector<tf::Tensor> values;
    try {
      const StepWatch::Running running(watch_);
      values = session_.run(*step_, fed_);
    } catch (const EndOfInput&) {
      break;
    }
    const auto samples = values[0].scalar<int64_t>()();
    result.samples += samples;
    for (size_t i = 0; i < result.means.size(); ++i)
      result.means[i].second += scalar_value(values[i + 1], result.means[i].first) * static_cast<double>(samples);
    progress(++batches);
  }
  if (result.samples == 0) throw DataError("the data of mode EVAL has no samples");
  for (auto& [name, sum] : result.means) sum /= static_cast<double>(result.samples);
  return result;
}

}  // namespace mox
