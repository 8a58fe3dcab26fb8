// How long does saving a checkpoint hold training up? Steps on ten weights of MEGABYTES in all, a save every 10: the
// time of the steps that follow a save, and of the save's own part in the loop, over that of the other steps. PRODUCTS
// of two matrices of 2048 x 2048 come before the gradients of a step, as a network's work does: without any a step is
// its update. THREADS: that compute a step, 0: one for each core. With a core less than there are, what is blocked is
// waiting and copying; with all, also the CPU time of writing, which some core must give (cpu_ms: what those
// steps take more of it, in all threads). Prints a JSON line with milliseconds; [SAVES] [MEGABYTES] [PRODUCTS]
// [THREADS].
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <vector>

#include "moxing/moxing.h"
#include "run/engine.h"
#include "run/graph_builder.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace {

namespace ops = tensorflow::ops;
using std::chrono::steady_clock;
using tensorflow::Output;

constexpr int kEvery = 10;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int saves = argc > 1 ? std::atoi(argv[1]) : 10, megabytes = argc > 2 ? std::atoi(argv[2]) : 100;
  const int products = argc > 3 ? std::atoi(argv[3]) : 0, threads = argc > 4 ? std::atoi(argv[4]) : 0;
  mox::set_log_sink([](mox::LogLevel, std::string_view) {});
  std::string pattern = (std::filesystem::temp_directory_path() / "save_block_XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  std::vector<double> plain, saving, plain_cpu, saving_cpu;
  steady_clock::time_point last;
  std::clock_t last_cpu = 0;
  mox::RunOptions options;
  options.input_fn = [](const mox::Scope& s, mox::ModeKeys) { return std::vector<Output>{ops::Const(s, {1.f})}; };
  options.model_fn = [&](const mox::Scope& s, const std::vector<Output>& inputs, mox::ModeKeys mode) {
    std::vector<Output> sums;
    for (int i = 0; i < 10; ++i) {
      const Output w = s.get_variable("w" + std::to_string(i), {25 * megabytes, 1000});
      sums.push_back(ops::Mean(s, ops::Square(s, w), {0, 1}));
    }
    Output loss = ops::AddN(s, sums);
    if (products > 0) {
      Output product = ops::RandomUniform(s, {2048, 2048}, tensorflow::DT_FLOAT);
      for (int i = 0; i < products; ++i) product = ops::Tanh(s, ops::MatMul(s, product, product));
      const Output nothing = ops::Multiply(s, ops::Mean(s, ops::StopGradient(s, product), {0, 1}), 0.f);
      loss = ops::Multiply(s, loss, ops::Add(s, nothing, 1.f));
    }
    return mox::ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
  };
  options.optimizer_fn = mox::get_optimizer_fn("sgd", 0.01);
  options.auto_batch = false;
  mox::RunConfig config{options};
  config.batch_size = 1;
  config.num_intra_threads = config.num_inter_threads = threads;
  config.log_dir = folder;
  config.max_number_of_steps = saves * kEvery + kEvery;
  config.log_every_n_steps = 0;
  config.save_summary_steps = 0;
  config.save_model_steps = kEvery;
  config.keep_checkpoint_max = 1;
  // Before step n: the time since step n - 1 began. A save is part of the step that ends with it; the step after it
  // writes to variables that the checkpoint still holds.
  double pair = 0, pair_cpu = 0;
  config.fetch_strategy_fn = [&](int64_t done, const mox::StepFetches& planned) {
    const auto now = steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last).count();
    last = now;
    const std::clock_t now_cpu = std::clock();
    const double cpu = 1e3 * static_cast<double>(now_cpu - last_cpu) / CLOCKS_PER_SEC;
    last_cpu = now_cpu;
    if (done < kEvery) return planned;
    if (done % kEvery == 0) {
      pair = ms;
      pair_cpu = cpu;
    } else if (done % kEvery == 1) {
      saving.push_back(pair + ms);
      saving_cpu.push_back(pair_cpu + cpu);
    } else if (done % kEvery > kEvery / 2) {
      plain.push_back(ms);
      plain_cpu.push_back(cpu);
    }
    return planned;
  };
  std::vector<mox::InputTensor> batch;
  mox::run_built_graph(mox::build_run_graph(config, &batch), std::nullopt, config);
  std::filesystem::remove_all(folder);
  const double usual = median(plain);
  fmt::print(
      "{{\"checkpoint_mb\": {}, \"step_ms\": {:.1f}, \"blocked_ms\": {:.1f}, \"worst_blocked_ms\": {:.1f}, "
      "\"cpu_ms\": {:.1f}}}\n",
      megabytes, usual, median(saving) - 2 * usual, *std::max_element(saving.begin(), saving.end()) - 2 * usual,
      median(saving_cpu) - 2 * median(plain_cpu));
  return 0;
}
