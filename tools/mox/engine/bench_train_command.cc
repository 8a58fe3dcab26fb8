// mox bench train: training steps a second, on devices and workers.
#include <fmt/format.h>

#include "base/limits.h"
#include "base/process_usage.h"
#include "command_line.h"
#include "engine/bench_report.h"
#include "engine/bench_rows.h"
#include "engine/classifier.h"
#include "engine/entry.h"
#include "engine/option_flags.h"
#include "engine/step_rate.h"
#include "engine/train_data.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::cli {
namespace {

namespace ops = tensorflow::ops;
using nlohmann::ordered_json;
using tensorflow::Output;

constexpr char kBenchTrain[] =
    "Trains a network for some steps, for each number of workers and devices and each way of variable_update, and says "
    "how fast. Without --data_url and --dataset_name the images are synthetic. Nothing is saved. Several workers are "
    "processes of this host; to measure on several hosts, start it as the worker of a cluster.\n"
    "Examples:\n  mox bench train --model_name=resnet_v1_50 --batch_size=16\n"
    "  mox bench train --model_name=mobilenet_v1 --data_url=FLOWERS --devices=1,2,4 "
    "--modes=replicated,replicated_host\n"
    "  mox bench train --model_name=mobilenet_v1 --workers=1,2,4 --output_url=page.html\n"
    "  mox launch --hosts=node1,node2 -- mox bench train --model_name=resnet_v1_50 --workers=2";

constexpr char kTrainNotes[] =
    "samples/second: of all workers and devices. speedup: samples/second a device, of the first row's; 1 is what more "
    "devices can reach. step ms: the median step, the fastest and the slowest. peak mib: the most memory that worker 0 "
    "held, in MiB.\n";

constexpr int64_t kDefaultClasses = 1000, kMostSteps = 1'000'000;
constexpr float kLearningRate = 0.001f;

struct Arguments {
  ClassifierConfig classifier;
  TrainData data;
  int64_t batch_size = 32, steps = 20, warmup = 5;
  std::string workers = "1", devices, modes, json_url, output_url;
  bool as_json = false;
};

void add_flags(CommandLine& app, Arguments* a) {
  add_classifier_flags(app, &a->classifier);
  app.number("--batch_size", a->batch_size, {1, kMaxBatchSize}, "samples a device and step").show_default();
  app.number("--steps", a->steps, {1, kMostSteps}, "that are timed").show_default();
  app.number("--warmup", a->warmup, {1, kMostSteps}, "steps before them").show_default();
  app.option("--workers", a->workers, "numbers of workers, e.g. 1,2,4").show_default();
  app.option("--devices", a->devices, "numbers of devices of a worker, e.g. 1,2,4; default: --num_gpus");
  app.option("--modes", a->modes,
             "ways of variable_update, e.g. replicated,replicated_host; default: --variable_update. Those with servers "
             "get one, on this host");
  app.flag("--json", a->as_json, "print one JSON object");
  app.option("--json_url", a->json_url, "the JSON goes to this file, and nothing is printed");
  app.option("--output_url", a->output_url, "one HTML page with the table and a chart");
}

// The same images in every step, so that nothing but the training is measured.
std::vector<Output> synthetic_batch(const Scope& s, const Arguments& a) {
  const ClassifierConfig& c = a.classifier;
  tensorflow::Tensor images(tensorflow::DT_FLOAT, {a.batch_size, c.image_size, c.image_size, c.channels});
  tensorflow::Tensor labels(tensorflow::DT_INT64, {a.batch_size});
  auto values = images.flat<float>();
  uint32_t state = 1;
  for (int64_t i = 0; i < values.size(); ++i) {
    state = state * 1664525U + 1013904223U;  // Numerical Recipes' generator
    values(i) = static_cast<float>(state >> 8) / (1 << 23) - 1;
  }
  for (int64_t i = 0; i < a.batch_size; ++i) labels.flat<int64_t>()(i) = i * 37 % c.num_classes;
  return {ops::Const(s, tensorflow::Input::Initializer(images)), ops::Const(s, tensorflow::Input::Initializer(labels))};
}

bool is_synthetic(const ClassifierConfig& config) { return config.data_url.empty() && config.dataset_name.empty(); }

ordered_json measure(const Arguments& a, const BenchRow& row) {
  set_flag("num_gpus", FlagValue(row.devices));
  set_flag("variable_update", FlagValue(row.mode));
  TrainData data = a.data;
  RunOptions options{.run_mode = ModeKeys::TRAIN, .batch_size = a.batch_size, .log_every_n_steps = 0};
  options.max_number_of_steps = a.warmup + a.steps;
  options.save_summary_steps = 0;
  options.save_model_secs = 0;
  options.optimizer_fn = get_optimizer_fn("momentum", kLearningRate);
  if (is_synthetic(a.classifier)) {
    options.auto_batch = false;
    options.input_fn = [&a](const Scope& s, ModeKeys) { return synthetic_batch(s, a); };
  } else {
    options.input_fn = train_input(a.classifier, data, "");
  }
  const auto clock = std::make_shared<StepClock>(a.warmup);
  options.model_fn = [&](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = classifier_model(a.classifier)(s, inputs, mode);
    spec.hooks = {clock};
    return spec;
  };
  run(options);
  const StepRate rate = clock->rate();
  if (rate.steps == 0 && get_flag<std::string>("job_name") == "worker")
    throw RunError("the run ended before a step was timed");
  const auto batch = static_cast<double>(a.batch_size * row.devices * row.workers);
  const double per_second = rate.steps > 0 ? static_cast<double>(rate.steps) / rate.seconds : 0;
  return {{"steps_per_second", per_second},
          {"samples_per_second", per_second * batch},
          {"step_ms", rate.step_ms},
          {"least_ms", rate.least_ms},
          {"most_ms", rate.most_ms},
          {"cpu_ms_per_step", rate.steps > 0 ? 1e3 * rate.cpu_seconds / static_cast<double>(rate.steps) : 0},
          {"peak_mib", peak_mib()}};
}

void complete(Arguments* a) {
  if (is_synthetic(a->classifier) && a->classifier.num_classes == 0) a->classifier.num_classes = kDefaultClasses;
  if (!a->classifier.dataset_name.empty() && a->classifier.data_url.empty())
    throw InvalidArgumentError("--data_url is needed with --dataset_name: the folder of the data set's files");
  complete(&a->classifier);
  if (!is_synthetic(a->classifier)) a->data = train_data(a->classifier, {});
  if (a->devices.empty()) a->devices = std::to_string(get_flag<int64_t>("num_gpus"));
  if (a->modes.empty()) a->modes = get_flag<std::string>("variable_update");
}

BenchReport report_of(const Arguments& a, std::vector<ordered_json> rows) {
  BenchReport report{"mox bench train", {},         std::move(rows), "devices", "samples_per_second",
                     "variable_update", kTrainNotes};
  const ClassifierConfig& c = a.classifier;
  report.setup = {{"model_name", c.model_name},
                  {"input", is_synthetic(c)          ? "synthetic"
                            : c.dataset_name.empty() ? c.data_url
                                                     : c.dataset_name},
                  {"image_size", c.image_size},
                  {"num_classes", c.num_classes},
                  {"dtype", c.dtype},
                  {"batch_size", a.batch_size},
                  {"steps", a.steps},
                  {"warmup", a.warmup}};
  return report;
}

}  // namespace

int run_bench_train(const std::vector<std::string>& args) {
  CommandLine app(kBenchTrain, "mox bench train");
  Arguments a;
  add_flags(app, &a);
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  complete(&a);
  const std::vector<BenchRow> rows = bench_rows(a.workers, a.devices, a.modes);
  if (is_task_of_bench(rows)) {
    const ordered_json figures = measure(a, rows[0]);
    if (is_chief() && get_flag<std::string>("job_name") == "worker") {
      const BenchReport report = report_of(a, {with_speedup(rows[0], a.batch_size, figures, nullptr)});
      if (!a.json_url.empty())
        file::write(a.json_url, figures.dump());
      else
        tell(report, a.as_json, a.output_url);
    }
    return kDone;
  }
  std::vector<ordered_json> found;
  ordered_json first;  // that has figures
  bool failed = false;
  for (const BenchRow& row : rows) {
    log_info(name_of(row));
    const ordered_json figures = start_row("train", args, row);
    failed = failed || figures.is_null();
    found.push_back(with_speedup(row, a.batch_size, figures, first.is_null() ? nullptr : &first));
    if (first.is_null() && !figures.is_null()) first = found.back();
  }
  tell(report_of(a, std::move(found)), a.as_json, a.output_url);
  return failed ? kFailed : kDone;
}

}  // namespace mox::cli
