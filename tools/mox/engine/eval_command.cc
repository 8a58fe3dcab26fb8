// mox eval
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/eval_record.h"
#include "engine/option_flags.h"
#include "engine/run_folder.h"

namespace mox::cli {
namespace {

// Sums over samples, not over batches.
struct Totals {
  int64_t samples = 0;
  double loss = 0;
  int64_t top1 = 0, top5 = 0;
  int64_t no_numbers = 0;  // samples whose loss is none

  void add(const OutputDict& dict) {
    const auto losses = dict.at("loss").flat<float>();
    const auto first = dict.at("top1").flat<bool>(), fifth = dict.at("top5").flat<bool>();
    samples += losses.size();
    for (int64_t i = 0; i < losses.size(); ++i) {
      loss += losses(i);
      no_numbers += !std::isfinite(losses(i));
      top1 += first(i);
      top5 += fifth(i);
    }
  }
};

// For mox report. A folder that cannot be written to costs the report, not the evaluation.
void write_eval_file(const std::string& checkpoint_url, const nlohmann::ordered_json& result) {
  const std::string path = checkpoint_folder(checkpoint_url) + "/" + kEvalFile;
  try {
    file::write(path, json_text(result) + "\n");
  } catch (const std::exception& e) {
    log_warning(fmt::format("{} was not written, mox report will lack this evaluation: {}", path, e.what()));
  }
}

// What the run says, for a program and for eval.json.
nlohmann::ordered_json metrics_of(const RunResult& result, const std::string& split, const Totals& totals) {
  const double n = totals.samples;
  return {{"checkpoint", result.checkpoint}, {"global_step", result.global_step}, {"split", split},
          {"samples", totals.samples},       {"loss", totals.loss / n},           {"accuracy", totals.top1 / n},
          {"top5", totals.top5 / n}};
}

void print_metrics(const nlohmann::ordered_json& metrics, bool as_json) {
  const auto number = [&](const char* name) { return metrics[name].get<double>(); };
  const std::string line =
      as_json ? json_text(metrics)
              : fmt::format("global step: {}\tsplit: {}\tsamples: {}\tloss: {:.4f}\taccuracy: {:.4f}\ttop5: {:.4f}",
                            metrics["global_step"].get<int64_t>(), metrics["split"].get<std::string>(),
                            metrics["samples"].get<int64_t>(), number("loss"), number("accuracy"), number("top5"));
  std::cout << line << '\n';
}

}  // namespace

int run_eval(const std::vector<std::string>& args) {
  CommandLine app(
      "Evaluates a checkpoint on a split of the data set; prints one line of metrics.\n"
      "Example: mox eval --checkpoint_url=DIR",
      "mox eval");
  std::string checkpoint_url, split;
  RunOptions options{.run_mode = ModeKeys::EVAL, .batch_size = 50, .log_every_n_steps = 0, .output_every_n_steps = 1};
  bool as_json = false;
  ClassifierConfig config = read_config(peek_checkpoint_url(args));
  app.option("--checkpoint_url", checkpoint_url, "folder of a run, or a checkpoint's prefix").required();
  add_classifier_flags(app, &config);
  app.option("--split", split,
             "default: the data set's last split; of own images the folder eval, validation, val or test");
  add_run_options(app, option_places::kEval, &options);
  app.flag("--json", as_json, "print the metrics as one JSON object");
  if (int code = app.parse_with_flags(args); code >= 0) return code;

  complete(&config);
  if (config.data_url.empty())
    throw InvalidArgumentError("--data_url is needed: " + checkpoint_url + " has no run.json that tells the data");
  if (split.empty()) split = ClassifierData(config).eval_split();

  const std::vector<std::string> classes = class_names_of(config, checkpoint_url);
  Totals totals;
  EvalRecord record(config.num_classes);
  options.input_fn = classifier_input(config, split, classes);
  options.model_fn = classifier_model(config);
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) {
      totals.add(dict);
      record.add(dict);
    }
  };
  options.checkpoint_path = checkpoint_url;
  set_default_log_level(options.log_every_n_steps > 0 ? "info" : "warning");
  const RunResult result = run(options);
  if (result.interrupted) return kFailed;
  if (!is_chief()) return kDone;  // the chief has the outputs of all
  // Metrics of it would look like some: whatever is no number counts as the first class.
  if (totals.no_numbers > 0)
    throw RunError(
        fmt::format("the network's output is no number for {} of {} samples of {}; the checkpoint {} has "
                    "weights, or moving averages of a training too short for them (--batch_norm_decay), "
                    "that lead to none",
                    totals.no_numbers, totals.samples, ClassifierData(config).name(split), result.checkpoint));
  nlohmann::ordered_json json = metrics_of(result, split, totals);
  print_metrics(json, as_json);
  json["classes"] = classes;
  json.update(record.json());
  write_eval_file(checkpoint_url, json);
  return kDone;
}

}  // namespace mox::cli
