#include "engine/quantize.h"

#include <fmt/format.h>

#include <optional>

#include "base/url.h"
#include "engine/classifier_data.h"
#include "engine/eval_totals.h"
#include "engine/lite_model.h"
#include "engine/temporary_folder.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

constexpr int64_t kBatch = 50;  // images that are sent at a time

RunOptions eval_options(const ClassifierConfig& config, const QuantizeOptions& options) {
  RunOptions run{.model_fn = classifier_model(config),
                 .run_mode = ModeKeys::EVAL,
                 .batch_size = kBatch,
                 .log_every_n_steps = 0,
                 .output_every_n_steps = 1};
  run.checkpoint_path = options.checkpoint_url;
  run.use_ema = options.use_ema;
  return run;
}

// Images of the training as an evaluation sees them, of all classes.
void send_calibration(const ClassifierConfig& config, const std::vector<std::string>& classes,
                      const QuantizeOptions& options, LiteModel* model) {
  RunOptions run = eval_options(config, options);
  const InputFn training = classifier_input(config, ClassifierData(config).train_split(), classes, {.augment = "none"});
  run.input_fn = [training](const Scope& s, ModeKeys) { return training(s, ModeKeys::TRAIN); };
  run.random_seed = 1;
  run.max_number_of_steps = (options.calibration + kBatch - 1) / kBatch;
  run.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) model->calibrate(dict.at("images"));
  };
  mox::run(run);
}

int64_t bytes_below(const std::string& folder) {
  int64_t bytes = 0;
  for (const std::string& name : file::list_directory(folder, {.recursive = true, .skip_dir = true}))
    bytes += static_cast<int64_t>(file::stat(folder + "/" + name).length);
  return bytes;
}

// Where TensorFlow's converter finds a SavedModel: it knows no stores.
class LocalModel {
 public:
  explicit LocalModel(const std::string& url) : path_(url) {
    if (!has_scheme(url)) return;
    path_ = copy_.emplace("export").path() + "/model";
    file::copy_parallel(url, path_);
  }
  const std::string& path() const { return path_; }

 private:
  std::optional<TemporaryFolder> copy_;
  std::string path_;
};

// What `mox eval` needs to read the model.
void describe_beside(const ClassifierConfig& config, const std::vector<std::string>& classes, const std::string& dir) {
  write_config(config, dir);
  if (!classes.empty()) write_class_names(dir, classes);
  if (config.validation_split > 0) write_split(ClassifierData(config).validation_split(), dir);
}

}  // namespace

void check_quantize(const ClassifierConfig& config) {
  if (config.data_url.empty())
    throw InvalidArgumentError("--data_url is needed with --quantize: the accuracy before and after is measured on it");
  if (num_workers() > 1) throw InvalidArgumentError("--quantize runs in one process: leave the cluster's flags out");
  check_lite_python(LiteNeed::kConverter, "--quantize");
}

Quantized quantize(const ClassifierConfig& config, const std::string& export_dir, const QuantizeOptions& options) {
  const std::vector<std::string> classes = class_names_of(config, options.checkpoint_url);
  const ClassifierData data(config);
  Quantized result{.path = fmt::format("{}/model_{}.tflite", export_dir, options.to), .split = data.eval_split()};
  const int64_t batches = options.to == "int8" ? (options.calibration + kBatch - 1) / kBatch : 0;
  const LocalModel saved(export_dir);
  LiteModel model(config, saved.path(), options.to, batches);
  if (batches > 0) send_calibration(config, classes, options, &model);
  const std::string content = model.content();
  file::write(result.path, content);
  describe_beside(config, classes, export_dir);
  EvalTotals before(config.num_classes), after(config.num_classes);
  RunOptions run = eval_options(config, options);
  run.input_fn = classifier_input(config, result.split, classes);
  run.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) {
      before.add(dict);
      after.add(model.evaluate(dict));
    }
  };
  if (mox::run(run).interrupted) throw RunError("interrupted");
  if (before.samples() == 0) throw DataError("there is no sample in " + data.name(result.split) + " that can be read");
  result.samples = before.samples();
  result.accuracy_before = before.accuracy();
  result.accuracy_after = after.accuracy();
  result.bytes_before = bytes_below(export_dir + "/variables");
  result.bytes_after = static_cast<int64_t>(content.size());
  return result;
}

}  // namespace mox::cli
