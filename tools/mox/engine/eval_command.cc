// mox eval
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/eval_record.h"
#include "engine/eval_totals.h"
#include "engine/lite_model.h"
#include "engine/option_flags.h"
#include "engine/run_folder.h"
#include "run/summary_writer.h"

namespace mox::cli {
namespace {

// A split's name may be a path.
std::string file_name(std::string split) {
  std::replace(split.begin(), split.end(), '/', '_');
  return split;
}

// What the folder of the checkpoint gets. One that cannot be written to costs the report, not the evaluation.
void write_record(const nlohmann::ordered_json& result, const std::string& dir, const std::string& file) {
  const std::string path = dir + "/" + file;
  try {
    file::write(path, json_text(result) + "\n");
  } catch (const std::exception& e) {
    log_warning(fmt::format("{} was not written, mox report will lack this evaluation: {}", path, e.what()));
  }
}

// For TensorBoard, as a run of its own beside the training's.
void write_events(const nlohmann::ordered_json& metrics, const std::string& dir, const std::string& split) {
  SummaryWriter events(fmt::format("{}/eval_{}", dir, file_name(split)));
  std::vector<std::pair<std::string, double>> scalars;
  for (const char* name : {"loss", "accuracy", "top5"}) scalars.emplace_back(name, metrics[name].get<double>());
  events.add_scalars(metrics["global_step"].get<int64_t>(), scalars);
  events.flush();
}

// What the run says, for a program and for eval.json. `json` says what was evaluated.
void add_metrics(const std::string& split, const EvalTotals& totals, nlohmann::ordered_json* json) {
  json->update({{"split", split},
                {"samples", totals.samples()},
                {"loss", totals.loss()},
                {"accuracy", totals.accuracy()},
                {"top5", totals.top5()}});
}

void print_metrics(const nlohmann::ordered_json& metrics) {
  const auto number = [&](const char* name) { return metrics[name].get<double>(); };
  if (metrics.contains("global_step"))
    std::cout << fmt::format("global step: {}\t", metrics["global_step"].get<int64_t>());
  std::cout << fmt::format("split: {}\tsamples: {}\tloss: {:.4f}\taccuracy: {:.4f}\ttop5: {:.4f}\n",
                           metrics["split"].get<std::string>(), metrics["samples"].get<int64_t>(), number("loss"),
                           number("accuracy"), number("top5"));
}

// The report's headline is what the run is for; others have files of their own.
std::string record_file(const ClassifierData& data, const std::string& split) {
  return split == data.eval_split() ? kEvalFile : fmt::format("{}{}.json", kOtherEvals, file_name(split));
}

void check_numbers(const EvalTotals& totals, const std::string& name, const std::string& checkpoint) {
  if (totals.samples() == 0) throw DataError("there is no sample in " + name + " that can be read");
  // Metrics of it would look like some: whatever is no number counts as the first class.
  if (totals.no_numbers() > 0)
    throw RunError(
        fmt::format("the network's output is no number for {} of {} samples of {}; the checkpoint {} has "
                    "weights, or moving averages of a training too short for them (--batch_norm_decay), "
                    "that lead to none",
                    totals.no_numbers(), totals.samples(), name, checkpoint));
}

// In the folder of the checkpoint.
void keep(const nlohmann::ordered_json& json, const std::string& dir, const ClassifierData& data,
          const std::string& split) {
  write_record(json, dir, record_file(data, split));
  write_events(json, dir, split);
}

void warn_of_trained(const ClassifierData& data, const std::string& split) {
  log_warning(fmt::format(
      "{} is what was trained on: these figures say nothing of images that the network has not "
      "seen{}",
      data.name(split), split == data.eval_split() ? "; --validation_split of mox train keeps some back" : ""));
}

// For --checkpoint_url=….tflite: the network is that of the file, and the run delivers its images and labels alone.
void check_lite(const RunOptions& options, const std::string& path) {
  if (options.use_ema)
    throw InvalidArgumentError("--use_ema is for checkpoints: " + path + " has the weights that were exported");
  if (num_workers() > 1)
    throw InvalidArgumentError("a .tflite file is evaluated in one process: leave the cluster's flags out");
  check_lite_python(LiteNeed::kInterpreter, "mox eval of a .tflite file");
}

void run_without_network(RunOptions* options) {
  options->run_mode = ModeKeys::PREDICT;
  options->model_fn = [](const Scope& s, const std::vector<tensorflow::Output>& inputs, ModeKeys) {
    ModelSpec spec;
    spec.output_info = {{"images", inputs[0]}, {"labels", inputs[1]}};
    return spec;
  };
}

struct EvalArguments {
  std::string checkpoint_url, split;
  ClassifierConfig config;
  RunOptions run{.run_mode = ModeKeys::EVAL, .batch_size = 50, .log_every_n_steps = 0, .output_every_n_steps = 1};
  bool as_json = false;
};

void add_flags(CommandLine& app, EvalArguments* a) {
  app.option("--checkpoint_url", a->checkpoint_url,
             "folder of a run, a checkpoint's prefix, or a .tflite file of mox export --quantize")
      .required();
  add_classifier_flags(app, &a->config);
  app.option("--split", a->split,
             "default: the data set's last split; of own images the folder eval, validation, val or test, or what "
             "validation_split kept back; all: all images of data_url");
  add_run_options(app, option_places::kEval, &a->run);
  app.flag("--json", a->as_json, "print the metrics as one JSON object");
}

}  // namespace

int run_eval(const std::vector<std::string>& args) {
  CommandLine app(
      "Evaluates a checkpoint on a split of the data set; prints one line of metrics.\n"
      "Example: mox eval --checkpoint_url=DIR",
      "mox eval");
  EvalArguments arguments;
  arguments.config = read_config(peek_checkpoint_url(args));
  const std::string trained_data = arguments.config.data_url;
  add_flags(app, &arguments);
  if (int code = app.parse_with_flags(args); code >= 0) return code;

  complete(&arguments.config);
  const ClassifierConfig& config = arguments.config;
  const std::string& checkpoint_url = arguments.checkpoint_url;
  RunOptions& options = arguments.run;
  if (config.data_url.empty())
    throw InvalidArgumentError("--data_url is needed: " + checkpoint_url + " has no run.json that tells the data");
  const ClassifierData data(config);
  const std::string split = arguments.split.empty() ? data.eval_split() : arguments.split;
  data.check_split(split);
  const bool trained_on = config.data_url == trained_data && data.is_trained_on(split);
  if (trained_on && is_chief()) warn_of_trained(data, split);
  const std::vector<std::string> classes = class_names_of(config, checkpoint_url);
  EvalTotals totals(config.num_classes);
  EvalRecord record(config.num_classes);
  options.input_fn = classifier_input(config, split, classes);
  options.model_fn = classifier_model(config);
  std::optional<LiteModel> lite;
  if (is_lite_model(checkpoint_url)) {
    check_lite(options, checkpoint_url);
    lite.emplace(config, checkpoint_url);
    run_without_network(&options);
  } else {
    options.checkpoint_path = checkpoint_url;
  }
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) {
      const OutputDict judged = lite ? lite->evaluate(dict) : dict;
      totals.add(judged);
      record.add(judged);
    }
  };
  options.samples_per_epoch = data.num_samples(split);
  set_default_log_level(options.log_every_n_steps > 0 ? "info" : "warning");
  const RunResult result = run(options);
  if (result.interrupted) return kFailed;
  if (!is_chief()) return kDone;  // the chief has the outputs of all
  check_numbers(totals, data.name(split), lite ? checkpoint_url : result.checkpoint);
  nlohmann::ordered_json json;
  if (lite)
    json["model"] = checkpoint_url;
  else
    json.update({{"checkpoint", result.checkpoint}, {"global_step", result.global_step}});
  add_metrics(split, totals, &json);
  if (trained_on) json["trained_on"] = true;
  const bool whole = options.max_number_of_steps == 0;
  const int64_t left_out = whole ? options.samples_per_epoch - totals.samples() : 0;
  if (left_out > 0) json["left_out"] = left_out;
  if (!arguments.as_json) print_metrics(json);
  json["by_class"] = totals.by_class(classes);
  std::cout << (arguments.as_json ? json_text(json) + "\n" : totals.table(classes)) << std::flush;
  json["classes"] = classes;
  json.update(record.json());
  if (!lite) keep(json, checkpoint_folder(checkpoint_url), data, split);
  if (left_out <= 0) return kDone;
  log_error(fmt::format("{} of {} samples of {} could not be read and are left out: see above", left_out,
                        options.samples_per_epoch, data.name(split)));
  return kFailed;
}

}  // namespace mox::cli
