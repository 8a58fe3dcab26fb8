// What does the training loop cost over Session::Run? The same graph, a softmax regression on made-up data, runs in a
// bare session and in mox::run: without anything, with a hook that fetches the loss, with a line every 10 steps and
// summaries every 100. Prints a JSON line with microseconds a step (the median of the rounds); [STEPS] [ROUNDS].
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "exchange/local_exchange.h"
#include "input/input_options.h"
#include "moxing/moxing.h"
#include "run/engine.h"
#include "run/graph_builder.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using std::chrono::steady_clock;

double microseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(steady_clock::now() - start).count();
}

// Fetches the loss with each step.
class Observer : public mox::SessionRunHook {
 public:
  explicit Observer(tf::Output loss) : loss_(std::move(loss)) {}
  mox::SessionRunArgs before_run(mox::SessionRunContext&) override { return {{loss_}, {}}; }

 private:
  const tf::Output loss_;
};

mox::RunOptions functions(bool hook) {
  mox::RunOptions options;
  options.input_fn = [](const mox::Scope& s, mox::ModeKeys) {
    return std::vector<tf::Output>{ops::Fill(s, {32, 64}, 0.5f), ops::Fill(s, {32}, int64_t{3})};
  };
  options.model_fn = [hook](const mox::Scope& s, const std::vector<tf::Output>& inputs, mox::ModeKeys) {
    const tf::Output logits = mox::layers::fully_connected(s, inputs[0], 10, "fc", {.activation = {}});
    const tf::Output loss = mox::losses::sparse_softmax_cross_entropy(s, inputs[1], logits);
    mox::ModelSpec spec{.loss = loss, .log_info = {{"loss", loss}}};
    if (hook) spec.hooks = {std::make_shared<Observer>(loss)};
    return spec;
  };
  options.optimizer_fn = mox::get_optimizer_fn("sgd", 0.01);
  options.auto_batch = false;
  return options;
}

mox::RunConfig config_of(const std::string& log_dir, int64_t steps, bool log, bool hook = false) {
  mox::RunConfig config{functions(hook)};
  config.batch_size = 32;
  config.log_dir = log_dir;
  config.max_number_of_steps = steps;
  config.log_every_n_steps = log ? 10 : 0;
  config.save_summary_steps = log ? 100 : 0;
  config.save_model_steps = 0;
  return config;
}

double bare_session(const mox::RunConfig& config) {
  std::vector<mox::InputTensor> batch;
  mox::BuiltGraph built = mox::build_run_graph(config, &batch);
  mox::LocalExchange().join(&built);
  mox::give_input_own_threads(&built.graph);
  tf::SessionOptions session_options;
  session_options.config.set_inter_op_parallelism_threads(mox::kCallersThread);  // as mox::run chooses here
  session_options.config.mutable_experimental()->set_optimize_for_static_graph(true);
  std::unique_ptr<tf::Session> session(tf::NewSession(session_options));
  TF_CHECK_OK(session->Create(built.graph));
  std::vector<std::string> initializers;
  for (const auto& variable : built.variables) initializers.push_back(variable.initializer);
  TF_CHECK_OK(session->Run({}, {}, initializers, nullptr));
  for (const std::string& op : built.initializers) TF_CHECK_OK(session->Run(built.feeds, {}, {op}, nullptr));
  tf::CallableOptions callable;
  for (const std::string& loss : built.towers[0].losses) callable.add_fetch(loss);
  for (const std::string& op : built.train_ops) callable.add_target(op);
  tf::Session::CallableHandle handle;
  TF_CHECK_OK(session->MakeCallable(callable, &handle));
  std::vector<tf::Tensor> fetched;
  TF_CHECK_OK(session->RunCallable(handle, {}, &fetched, nullptr));
  const auto start = steady_clock::now();
  for (int64_t i = 0; i < config.max_number_of_steps; ++i)
    TF_CHECK_OK(session->RunCallable(handle, {}, &fetched, nullptr));
  return microseconds_since(start) / config.max_number_of_steps;
}

// The steps between the first and the last: what starting, planning and the last save cost is left out.
double in_loop(mox::RunConfig config) {
  const int64_t last = config.max_number_of_steps;
  config.max_number_of_steps += 100;
  double start = 0, end = 0;
  const auto origin = steady_clock::now();
  config.fetch_strategy_fn = [&](int64_t step, const mox::StepFetches& planned) {
    if (step == 100) start = microseconds_since(origin);
    if (step + 1 == last + 100) end = microseconds_since(origin);
    return planned;
  };
  std::vector<mox::InputTensor> batch;
  mox::run_built_graph(mox::build_run_graph(config, &batch), std::nullopt, config);
  return (end - start) / (last - 1);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t steps = argc > 1 ? std::stoll(argv[1]) : 20000;
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 5;
  mox::set_log_sink([](mox::LogLevel, std::string_view) {});
  std::string pattern = (std::filesystem::temp_directory_path() / "loop_overhead_XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  int run = 0;
  auto fresh = [&] {
    const std::string log_dir = fmt::format("{}/{}", folder, run++);
    std::filesystem::create_directory(log_dir);  // mox::run would
    return log_dir;
  };
  std::vector<double> bare, loop, hook, log;
  for (int i = 0; i < rounds; ++i) {
    bare.push_back(bare_session(config_of(fresh(), steps, false)));
    loop.push_back(in_loop(config_of(fresh(), steps, false, false)));
    hook.push_back(in_loop(config_of(fresh(), steps, false, true)));
    log.push_back(in_loop(config_of(fresh(), steps, true, true)));
  }
  std::filesystem::remove_all(folder);
  std::printf(
      "{\"us_per_step\": {\"session\": %.1f, \"loop\": %.1f, \"loop_with_hook\": %.1f, "
      "\"loop_with_hook_log_summaries\": "
      "%.1f}, \"loop_over_session_us\": %.1f, \"hook_log_summaries_us\": %.1f}\n",
      median(bare), median(loop), median(hook), median(log), median(loop) - median(bare), median(log) - median(loop));
  return 0;
}
