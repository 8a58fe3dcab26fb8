// mox train
#include <fmt/format.h>

#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/run_folder.h"
#include "run/run_config.h"

namespace mox::cli {
namespace {

struct TrainFlags {
  ClassifierConfig classifier;
  std::string train_url, checkpoint_url, export_model;
  std::string optimizer = "momentum", learning_rate_strategy = "10:0.01";
  float momentum = 0.9f;
  int64_t batch_size = 32, max_number_of_steps = 0, log_every_n_steps = 10, save_summary_steps = 100,
          save_model_steps = -1;
  double save_model_secs = -1;
  int keep_checkpoint_max = 5;
  std::string keep_best, keep_best_mode = "auto";
  int64_t save_histogram_steps = 0;
  int64_t seed = 0, trace_step = -1;
  bool json = false;
};

void add_flags(CommandLine& app, TrainFlags* f) {
  add_classifier_flags(app, &f->classifier);
  app.option("--train_url", f->train_url, "folder for checkpoints, events, logs and exported models").required();
  app.option("--checkpoint_url", f->checkpoint_url, "folder or checkpoint to start from, when train_url has none");
  app.number("--batch_size", f->batch_size, {1, kMaxBatchSize}, "samples a device and step").show_default();
  app.number("--max_number_of_steps", f->max_number_of_steps, {0, kMaxSteps}, "0: train until stopped").show_default();
  app.option("--optimizer", f->optimizer, "sgd, momentum, adam, …").show_default();
  app.number("--momentum", f->momentum, {0, 1}, "of the optimizer momentum").show_default();
  app.option("--learning_rate_strategy", f->learning_rate_strategy, "END_EPOCH:RATE,…; a->b linear, a=>b exponential")
      .show_default();
  app.number("--log_every_n_steps", f->log_every_n_steps, {0, kMaxSteps}, "0: none").show_default();
  app.number("--save_summary_steps", f->save_summary_steps, {0, kMaxSteps}, "0: none").show_default();
  app.number("--save_model_steps", f->save_model_steps, {0, kMaxSteps},
             "steps between checkpoints; default: every 600 seconds");
  app.number("--save_model_secs", f->save_model_secs, {0, kMaxSeconds}, "seconds between checkpoints; wins over steps");
  app.number("--keep_checkpoint_max", f->keep_checkpoint_max, {0, std::numeric_limits<int>::max()},
             "older ones are removed; 0: all stay")
      .show_default();
  app.option("--keep_best", f->keep_best,
             "loss or accuracy: the checkpoint where it was best is kept too, see best_checkpoint.json");
  app.option("--keep_best_mode", f->keep_best_mode, "max, min, or auto: min for loss")
      .one_of({"auto", "max", "min"})
      .show_default();
  app.number("--save_histogram_steps", f->save_histogram_steps, {0, kMaxSteps},
             "steps between histograms of the variables in the event file; 0: none")
      .show_default();
  app.option("--export_model", f->export_model, "TF_SERVING: export after training").one_of({"TF_SERVING"});
  app.number("--seed", f->seed, {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()},
             "of initial values and order; 0: another one in every run")
      .show_default();
  app.number("--trace_step", f->trace_step, {0, kMaxSteps},
             "write a timeline of this step to train_url, and log the costliest operations");
  app.flag("--json", f->json, "print the result as one JSON object on standard output");
}

RunOptions run_options(const TrainFlags& f) {
  RunOptions options;
  const ClassifierData data(f.classifier);
  const std::string split = data.train_split();
  const int64_t global_batch_size = f.batch_size * get_flag<int64_t>("num_gpus");
  options.input_fn = classifier_input(f.classifier, split, class_names_of_training(f.classifier, f.train_url));
  options.model_fn = classifier_model(f.classifier);
  options.optimizer_fn = get_optimizer_fn(
      f.optimizer,
      learning_rate_scheduler::piecewise_lr(f.learning_rate_strategy, data.num_samples(split), global_batch_size),
      {.momentum =
           f.optimizer == "momentum" || f.optimizer == "rmsprop" ? std::optional<float>(f.momentum) : std::nullopt});
  options.batch_size = f.batch_size;
  options.log_dir = f.train_url;
  options.checkpoint_path = f.checkpoint_url;
  options.max_number_of_steps = f.max_number_of_steps;
  options.log_every_n_steps = f.log_every_n_steps;
  options.save_summary_steps = f.save_summary_steps;
  options.save_model_steps = f.save_model_steps;
  options.save_model_secs = f.save_model_secs;
  options.keep_checkpoint_max = f.keep_checkpoint_max;
  options.keep_best = f.keep_best;
  options.keep_best_mode = f.keep_best_mode;
  options.save_histogram_steps = f.save_histogram_steps;
  options.export_model = f.export_model;
  options.random_seed = f.seed;
  options.trace_step = f.trace_step;
  return options;
}

// How it was trained: for mox report. What it is, is in run.json.
void write_train_file(const TrainFlags& f) {
  const FlagValue scale = get_flag("loss_scale");
  nlohmann::ordered_json j = {
      {"optimizer", f.optimizer},
      {"learning_rate_strategy", f.learning_rate_strategy},
      {"batch_size", f.batch_size},
      {"num_gpus", get_flag<int64_t>("num_gpus")},
      {"max_number_of_steps", f.max_number_of_steps},
      {"seed", f.seed},
      {"gradient_clip", get_flag<double>("gradient_clip")},
      {"use_fp16", get_flag<bool>("use_fp16")},
  };
  if (f.optimizer == "momentum" || f.optimizer == "rmsprop") j["momentum"] = f.momentum;
  if (std::holds_alternative<double>(scale))
    j["loss_scale"] = std::get<double>(scale);
  else
    j["loss_scale"] = "dynamic";
  file::write(f.train_url + "/" + kTrainFile, json_text(j, 2) + "\n");
}

}  // namespace

int run_train(const std::vector<std::string>& args) {
  CommandLine app(
      "Trains a built-in network on a built-in data set or on your own images.\n"
      "Examples: mox train --model_name=lenet --dataset_name=fashion_mnist --data_url=DIR --train_url=DIR "
      "--batch_size=50 --max_number_of_steps=3600\n"
      "          mox train --model_name=mobilenet_v1 --data_url=FLOWERS --train_url=DIR   (FLOWERS/daisy/1.jpg, …)",
      "mox train");
  TrainFlags flags;
  add_flags(app, &flags);
  if (int code = app.parse_with_flags(args); code >= 0) return code;
  if (flags.classifier.data_url.empty())
    throw InvalidArgumentError(
        "--data_url is needed: the folder of the data set's files, or of your own class folders");
  complete(&flags.classifier);
  check_writable(flags.train_url);  // before it is read: what is wrong with it is told as the option's
  RunOptions options = run_options(flags);
  // Not earlier: a command that fails its checks must not change what a finished run says of itself.
  options.begin_fn = [&] {
    forget_names_of_removed_run(flags.classifier, flags.train_url);
    write_config(flags.classifier, flags.train_url);
    write_train_file(flags);
  };
  log_info(fmt::format("training {} on {} from {}; checkpoints, log and events go to {}", flags.classifier.model_name,
                       flags.classifier.dataset_name.empty() ? "own images" : flags.classifier.dataset_name,
                       flags.classifier.data_url, flags.train_url));
  const RunResult result = run(options);
  if (flags.json) {
    nlohmann::ordered_json j = {{"steps", result.steps},
                                {"global_step", result.global_step},
                                {"checkpoint", result.checkpoint},
                                {"export_dir", result.export_dir},
                                {"interrupted", result.interrupted}};
    for (const auto& [name, value] : result.metrics) j[name] = value;
    std::cout << json_text(j) << std::endl;
  }
  return result.interrupted ? kFailed : kDone;
}

}  // namespace mox::cli
