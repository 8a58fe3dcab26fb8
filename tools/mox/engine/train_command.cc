// mox train
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/option_flags.h"
#include "engine/run_folder.h"

namespace mox::cli {
namespace {

struct TrainFlags {
  ClassifierConfig classifier;
  RunOptions run{.batch_size = 32};
  std::string optimizer = "momentum", learning_rate_strategy = "10:0.01";
  float momentum = 0.9f;
  bool json = false;
};

void add_flags(CommandLine& app, TrainFlags* f) {
  add_classifier_flags(app, &f->classifier);
  add_run_options(app, option_places::kTrain, &f->run);
  app.get("--train_url").required();
  app.option("--optimizer", f->optimizer, "sgd, momentum, adam, …").show_default();
  app.number("--momentum", f->momentum, {0, 1}, "of the optimizer momentum").show_default();
  app.option("--learning_rate_strategy", f->learning_rate_strategy, "END_EPOCH:RATE,…; a->b linear, a=>b exponential")
      .show_default();
  app.flag("--json", f->json, "print the result as one JSON object on standard output");
}

// The functions of the run; of what train_url has, nothing is read before the run has found it fit.
RunOptions run_options(const TrainFlags& f) {
  RunOptions options = f.run;
  const ClassifierData data(f.classifier);
  const std::string split = data.train_split();
  const int64_t global_batch_size = f.run.batch_size * get_flag<int64_t>("num_gpus") * num_workers();
  options.input_fn = [&f, split](const Scope& s, ModeKeys mode) {
    return classifier_input(f.classifier, split, class_names_of_training(f.classifier, f.run.log_dir))(s, mode);
  };
  options.model_fn = classifier_model(f.classifier);
  OptimizerOptions optimizer;
  if (f.optimizer == "momentum" || f.optimizer == "rmsprop") optimizer.momentum = f.momentum;
  options.optimizer_fn = get_optimizer_fn(
      f.optimizer,
      learning_rate_scheduler::piecewise_lr(f.learning_rate_strategy, data.num_samples(split), global_batch_size),
      optimizer);
  return options;
}

// How it was trained: for mox report. What it is, is in run.json.
void write_train_file(const TrainFlags& f) {
  const FlagValue scale = get_flag("loss_scale");
  nlohmann::ordered_json j = {
      {"optimizer", f.optimizer},
      {"learning_rate_strategy", f.learning_rate_strategy},
      {"batch_size", f.run.batch_size},
      {"num_gpus", get_flag<int64_t>("num_gpus")},
      {"max_number_of_steps", f.run.max_number_of_steps},
      {"seed", f.run.random_seed},
      {"gradient_clip", get_flag<double>("gradient_clip")},
      {"use_fp16", get_flag<bool>("use_fp16")},
  };
  if (f.optimizer == "momentum" || f.optimizer == "rmsprop") j["momentum"] = f.momentum;
  if (std::holds_alternative<double>(scale))
    j["loss_scale"] = std::get<double>(scale);
  else
    j["loss_scale"] = "dynamic";
  file::write(f.run.log_dir + "/" + kTrainFile, json_text(j, 2) + "\n");
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
  RunOptions options = run_options(flags);
  // Not earlier: a command that fails its checks must not change what a finished run says of itself.
  options.begin_fn = [&] {
    forget_names_of_removed_run(flags.classifier, flags.run.log_dir);
    write_config(flags.classifier, flags.run.log_dir);
    write_train_file(flags);
  };
  if (is_chief())
    log_info(fmt::format("training {} on {} from {}; checkpoints, log and events go to {}", flags.classifier.model_name,
                         flags.classifier.dataset_name.empty() ? "own images" : flags.classifier.dataset_name,
                         flags.classifier.data_url, flags.run.log_dir));
  const RunResult result = run(options);
  if (flags.json && is_chief()) {
    nlohmann::ordered_json j = {{"steps", result.steps},
                                {"global_step", result.global_step},
                                {"checkpoint", result.checkpoint},
                                {"export_dir", result.export_dir},
                                {"interrupted", result.interrupted}};
    for (const auto& [name, value] : result.metrics) j[name] = value;
    std::cout << json_text(j) << '\n';
  }
  return result.interrupted ? kFailed : kDone;
}

}  // namespace mox::cli
