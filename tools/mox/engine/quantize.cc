#include "engine/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "engine/classifier_data.h"
#include "engine/eval_totals.h"
#include "moxing/error.h"
#include "python.h"

namespace mox::cli {
namespace {

constexpr int64_t kBatch = 50;  // images that are sent at a time
constexpr char kHasConverter[] = "import tensorflow as tf\ntf.lite.TFLiteConverter, tf.lite.Interpreter\n";
constexpr char kQuantize[] = "import sys\nfrom moxing.quantize import main\nmain(sys.argv[1:])\n";

// One record of moxing/quantize.py's input: a count, so many labels, so many images.
void send(PythonProcess* python, const tensorflow::Tensor& images, const tensorflow::Tensor& labels) {
  const int64_t count = images.dim_size(0);
  std::vector<int64_t> numbers = {count};
  for (int64_t i = 0; i < count; ++i)
    numbers.push_back(labels.dtype() == tensorflow::DT_INT64 ? labels.flat<int64_t>()(i) : labels.flat<int32_t>()(i));
  python->write(numbers.data(), numbers.size() * sizeof(int64_t));
  python->write(images.flat<float>().data(), static_cast<size_t>(images.NumElements()) * sizeof(float));
}

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
                      const QuantizeOptions& options, PythonProcess* python) {
  RunOptions run = eval_options(config, options);
  const InputFn training = classifier_input(config, ClassifierData(config).train_split(), classes, {.augment = "none"});
  run.input_fn = [training](const Scope& s, ModeKeys) { return training(s, ModeKeys::TRAIN); };
  run.random_seed = 1;
  run.max_number_of_steps = (options.calibration + kBatch - 1) / kBatch;
  run.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) send(python, dict.at("images"), dict.at("labels"));
  };
  mox::run(run);
}

int64_t bytes_below(const std::string& folder) {
  int64_t bytes = 0;
  for (const std::string& name : file::list_directory(folder, {.recursive = true, .skip_dir = true}))
    bytes += static_cast<int64_t>(file::stat(folder + "/" + name).length);
  return bytes;
}

}  // namespace

void check_quantize(const ClassifierConfig& config) {
  if (config.data_url.empty())
    throw InvalidArgumentError("--data_url is needed with --quantize: the accuracy before and after is measured on it");
  if (num_workers() > 1) throw InvalidArgumentError("--quantize runs in one process: leave the cluster's flags out");
  const std::string python = find_python();
  if (!ask_python(python, kHasConverter))
    throw NotFoundError(fmt::format(
        "--quantize needs TensorFlow Lite's converter, and {} has none: pip install tensorflow there, or name a Python "
        "that has it in MOX_PYTHON",
        python));
}

Quantized quantize(const ClassifierConfig& config, const std::string& export_dir, const QuantizeOptions& options) {
  const std::vector<std::string> classes = class_names_of(config, options.checkpoint_url);
  const ClassifierData data(config);
  Quantized result{.path = fmt::format("{}/model_{}.tflite", export_dir, options.to), .split = data.eval_split()};
  add_package_of_build_tree();
  PythonProcess python(find_python(), kQuantize, {export_dir, options.to, result.path});
  const int64_t batches = options.to == "int8" ? (options.calibration + kBatch - 1) / kBatch : 0;
  const std::string head = json_text(nlohmann::json{{"image", {config.image_size, config.image_size, config.channels}},
                                                    {"calibration_batches", batches}}) +
                           "\n";
  python.write(head.data(), head.size());
  if (batches > 0) send_calibration(config, classes, options, &python);
  EvalTotals totals(config.num_classes);
  RunOptions run = eval_options(config, options);
  run.input_fn = classifier_input(config, result.split, classes);
  run.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) {
      totals.add(dict);
      send(&python, dict.at("images"), dict.at("labels"));
    }
  };
  if (mox::run(run).interrupted) throw RunError("interrupted");
  if (totals.samples() == 0) throw DataError("there is no sample in " + data.name(result.split) + " that can be read");
  const nlohmann::json said = parse_json(python.finish());
  result.samples = totals.samples();
  result.accuracy_before = totals.accuracy();
  result.accuracy_after = static_cast<double>(said.at("right").get<int64_t>()) / static_cast<double>(result.samples);
  result.bytes_before = bytes_below(export_dir + "/variables");
  result.bytes_after = said.at("bytes").get<int64_t>();
  return result;
}

}  // namespace mox::cli
