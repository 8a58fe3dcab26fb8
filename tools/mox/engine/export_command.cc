// mox export
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/entry.h"
#include "engine/quantize.h"

namespace mox::cli {
namespace {

std::string line_of(const Quantized& q, const std::string& to) {
  return fmt::format(
      "{}\n{}: accuracy {:.4f} before, {:.4f} after, on {} samples of split {}; {:.1f} MB before, {:.1f} after", q.path,
      to, q.accuracy_before, q.accuracy_after, q.samples, q.split, static_cast<double>(q.bytes_before) / 1e6,
      static_cast<double>(q.bytes_after) / 1e6);
}

}  // namespace

int run_export(const std::vector<std::string>& args) {
  CommandLine app(
      "Exports a checkpoint as a SavedModel for TF-Serving.\nExample: mox export --checkpoint_url=DIR --export_url=DIR",
      "mox export");
  std::string checkpoint_url, export_url, version = "-1";
  bool as_json = false;
  app.option("--checkpoint_url", checkpoint_url, "folder of a run, or a checkpoint's prefix").required();
  app.option("--export_url", export_url, "the model goes to a folder in here; default: the checkpoint's folder");
  app.option("--version", version, "name of that folder; -1: the next number").show_default();
  ClassifierConfig config = read_config(peek_checkpoint_url(args));
  add_classifier_flags(app, &config);
  bool use_ema = false;
  app.flag("--use_ema", use_ema, "the averages of a training with --model_ema in place of the weights");
  QuantizeOptions quantized;
  app.option("--quantize", quantized.to,
             "int8 or float16: also model_int8.tflite or model_float16.tflite in that folder, and the accuracy before "
             "and after; needs a Python with TensorFlow")
      .one_of({"int8", "float16"});
  app.flag("--json", as_json, "print the result as one JSON object");
  if (int code = app.parse_with_flags(args); code >= 0) return code;
  complete(&config);
  if (!quantized.to.empty()) {
    check_quantize(config);
    set_default_log_level("warning");
  }

  ExportOptions options;
  options.class_names = class_names_of(config, checkpoint_url);
  options.model_fn = [model = classifier_model(config, {}, options.class_names), version](
                         const Scope& s, const std::vector<tensorflow::Output>& inputs, ModeKeys mode) {
    ModelSpec spec = model(s, inputs, mode);
    spec.export_spec->version = version;
    return spec;
  };
  options.inputs = {{tensorflow::DT_FLOAT, {-1, config.image_size, config.image_size, config.channels}}};
  options.checkpoint_path = checkpoint_url;
  options.log_dir = export_url.empty() ? checkpoint_folder(checkpoint_url) : export_url;
  options.use_ema = use_ema;
  const std::string dir = export_model(options);
  nlohmann::ordered_json json = {{"export_dir", dir}};
  if (!as_json) std::cout << dir << '\n' << std::flush;  // before what quantizing says
  if (!quantized.to.empty()) {
    quantized.checkpoint_url = checkpoint_url;
    quantized.use_ema = use_ema;
    const Quantized result = quantize(config, dir, quantized);
    if (!as_json) std::cout << line_of(result, quantized.to) << '\n';
    json["quantized"] = {{"path", result.path},
                         {"to", quantized.to},
                         {"split", result.split},
                         {"samples", result.samples},
                         {"accuracy_before", result.accuracy_before},
                         {"accuracy_after", result.accuracy_after},
                         {"bytes_before", result.bytes_before},
                         {"bytes_after", result.bytes_after}};
  }
  if (as_json) std::cout << json_text(json) << '\n';
  return kDone;
}

}  // namespace mox::cli
