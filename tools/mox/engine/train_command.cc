// mox train
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"
#include "engine/end_block.h"
#include "engine/entry.h"
#include "engine/lr_find.h"
#include "engine/optimizer_flags.h"
#include "engine/option_flags.h"
#include "engine/recipe_flags.h"
#include "engine/run_folder.h"
#include "engine/train_data.h"

namespace mox::cli {
namespace {

struct TrainFlags {
  ClassifierConfig classifier;
  RunOptions run{.batch_size = 32, .log_mean = true, .log_format = "short", .moving_average_ramp = true};
  TrainData data = {};
  OptimizerFlags optimizer;
  RecipeFlags recipe;
  std::string strategy = {};  // of the learning rate; run_options fills it
  bool json = false, lr_find = false;
  LrFindOptions find;
};

void add_flags(CommandLine& app, TrainFlags* f) {
  add_classifier_flags(app, &f->classifier);
  add_run_options(app, option_places::kTrain, &f->run);
  app.get("--train_url").required();
  add_optimizer_flags(app, &f->optimizer);
  add_recipe_flags(app, &f->recipe);
  app.flag("--lr_find", f->lr_find,
           "trains for --lr_find_steps with learning rates that rise, and suggests one; only lr_find.json and .svg go "
           "to --train_url");
  app.number("--lr_find_steps", f->find.steps, {10, 10'000}, "of --lr_find").show_default();
  app.flag("--json", f->json, "print the result as one JSON object on standard output");
}

// How long the training is, as the options say; 0: they do not.
double planned_epochs(const RunOptions& run, double steps_per_epoch) {
  const double by_steps = static_cast<double>(run.max_number_of_steps) / steps_per_epoch;
  if (run.num_epochs <= 0) return by_steps;
  return by_steps > 0 ? std::min(by_steps, run.num_epochs) : run.num_epochs;
}

// The functions of the run; of what train_url has, nothing is read before the run has found it fit.
RunOptions run_options(TrainFlags& f) {
  RunOptions options = f.run;
  options.samples_per_epoch = f.data.train_samples;
  const int64_t global_batch_size = f.run.batch_size * get_flag<int64_t>("num_gpus") * num_workers();
  options.input_fn = train_input(f.classifier, f.data, f.run.log_dir, f.recipe.recipe.augmentation);
  options.model_fn = [&f](const Scope& s, const std::vector<tensorflow::Output>& inputs, ModeKeys mode) {
    Recipe& recipe = f.recipe.recipe;
    if (f.recipe.balanced && mode == ModeKeys::TRAIN && recipe.class_weights.empty()) {
      const auto classes = class_names_of_training(f.classifier, f.run.log_dir);
      recipe.class_weights = balanced_weights(ClassifierData(f.classifier).class_counts(f.data.train_split, classes));
    }
    const bool exports = mode == ModeKeys::EXPORT;
    return classifier_model(f.classifier, recipe,
                            exports ? class_names(f.classifier, f.data, f.run.log_dir) : std::vector<std::string>())(
        s, inputs, mode);
  };
  const int64_t samples = f.data.train_samples;
  const auto epoch = static_cast<double>(learning_rate_scheduler::steps_per_epoch(samples, global_batch_size));
  f.strategy = strategy_of(f.optimizer, planned_epochs(f.run, epoch));
  options.optimizer_fn = optimizer_of(f.optimizer, f.strategy, samples, global_batch_size);
  return options;
}

// How it was trained: for mox report. What it is, is in run.json.
void write_train_file(const TrainFlags& f) {
  const FlagValue scale = get_flag("loss_scale");
  nlohmann::ordered_json j = optimizer_json(f.optimizer, f.strategy);
  j.update(nlohmann::ordered_json{
      {"batch_size", f.run.batch_size},
      {"num_gpus", get_flag<int64_t>("num_gpus")},
      {"max_number_of_steps", f.run.max_number_of_steps},
      {"num_epochs", f.run.num_epochs},
      {"train_split", f.data.train_split},
      {"train_samples", f.data.train_samples},
      {"seed", f.run.random_seed},
      {"gradient_clip", get_flag<double>("gradient_clip")},
      {"use_fp16", get_flag<bool>("use_fp16")},
  });
  j.update(recipe_json(f.recipe));
  if (!f.run.freeze.empty()) j["freeze"] = f.run.freeze;
  if (!f.run.finetune.empty()) j["finetune"] = f.run.finetune;
  if (f.run.model_ema > 0) j["model_ema"] = f.run.model_ema;
  if (std::holds_alternative<double>(scale))
    j["loss_scale"] = std::get<double>(scale);
  else
    j["loss_scale"] = "dynamic";
  if (!f.data.eval_split.empty()) {
    j["eval_split"] = f.data.eval_split;
    j["eval_samples"] = f.data.eval_samples;
    for (const auto& [name, value] : {std::pair("eval_every_n_epochs", f.run.eval_every_n_epochs),
                                      std::pair("eval_every_n_steps", f.run.eval_every_n_steps),
                                      std::pair("early_stopping_patience", f.run.early_stopping_patience),
                                      std::pair("plateau_patience", f.run.plateau_patience)})
      if (value > 0) j[name] = value;
  }
  file::write(f.run.log_dir + "/" + kTrainFile, json_text(j, 2) + "\n");
}

// --lr_find: no training.
int find_learning_rate(const TrainFlags& f, const RunOptions& options) {
  const auto make = [&f](const LearningRate& rate) {
    return get_optimizer_fn(f.optimizer.optimizer, rate, f.optimizer.options);
  };
  tell_lr_find(lr_find(options, make, f.find), f.run.log_dir, f.json);
  return kDone;
}

void check_lr_find(CommandLine& app, const TrainFlags& f) {
  if (!f.lr_find && app.get("--lr_find_steps").given())
    throw InvalidArgumentError("--lr_find_steps is given without --lr_find");
  for (const char* flag : {"--learning_rate", "--learning_rate_strategy", "--schedule"})
    if (f.lr_find && app.get(flag).given())
      throw InvalidArgumentError(
          fmt::format("--lr_find tries many learning rates, and {} is given: leave it out", flag));
}

// The images that are kept back, for this run's later commands.
void write_or_forget_split(const ClassifierConfig& config, const std::string& train_url) {
  const std::string path = train_url + "/" + kSplitFile;
  if (config.validation_split > 0)
    write_split(ClassifierData(config).validation_split(), train_url);
  else if (file::exists(path))
    file::remove(path);  // of a run whose checkpoints are gone
}

void print_json(const RunResult& result) {
  nlohmann::ordered_json j = {{"steps", result.steps},
                              {"global_step", result.global_step},
                              {"checkpoint", result.checkpoint},
                              {"export_dir", result.export_dir},
                              {"interrupted", result.interrupted}};
  for (const auto& [name, value] : result.metrics) j[name] = value;
  for (const auto& [name, value] : result.validation) j["validation"][name] = value;
  if (const auto& best = result.best_validation)
    j["best_validation"] = {{"metric", best->metric}, {"value", best->value}, {"global_step", best->global_step}};
  std::cout << json_text(j) << '\n';
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
  const auto start = std::chrono::steady_clock::now();
  if (flags.classifier.validation_split > 0 && has_checkpoints(flags.run.log_dir))
    flags.classifier.split_dir = flags.run.log_dir;
  complete(&flags.classifier);
  take_optimizer_flags(app, &flags.optimizer, &flags.classifier.weight_decay);
  check_lr_find(app, flags);
  take_recipe_flags(app, flags.classifier, flags.run.batch_size, &flags.recipe);
  flags.data = train_data(flags.classifier, flags.run);
  RunOptions options = run_options(flags);
  if (flags.lr_find) return find_learning_rate(flags, options);
  // Not earlier: a command that fails its checks must not change what a finished run says of itself.
  options.begin_fn = [&] {
    forget_names_of_removed_run(flags.classifier, flags.run.log_dir);
    write_or_forget_split(flags.classifier, flags.run.log_dir);
    write_config(flags.classifier, flags.run.log_dir);
    write_train_file(flags);
  };
  const bool tells = is_chief() && get_flag<std::string>("job_name") == "worker";
  if (tells)
    log_info(fmt::format("training {} on {} from {}; checkpoints, log and events go to {}", flags.classifier.model_name,
                         flags.classifier.dataset_name.empty() ? "own images" : flags.classifier.dataset_name,
                         flags.classifier.data_url, flags.run.log_dir));
  if (tells) log_info(describe(flags.data));
  const RunResult result = run(options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (tells)
    for (const std::string& line : end_block(result, flags.data, flags.run, seconds.count())) log_info(line);
  if (flags.json && is_chief()) print_json(result);
  return result.interrupted ? kFailed : kDone;
}

}  // namespace mox::cli
