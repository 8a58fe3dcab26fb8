// mox export
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/classifier.h"
#include "engine/entry.h"

namespace mox::cli {

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
  app.flag("--json", as_json, "print the result as one JSON object");
  if (int code = app.parse_with_flags(args); code >= 0) return code;
  complete(&config);

  ExportOptions options;
  options.model_fn = [model = classifier_model(config), version](
                         const Scope& s, const std::vector<tensorflow::Output>& inputs, ModeKeys mode) {
    ModelSpec spec = model(s, inputs, mode);
    spec.export_spec->version = version;
    return spec;
  };
  options.inputs = {{tensorflow::DT_FLOAT, {-1, config.image_size, config.image_size, config.channels}}};
  options.checkpoint_path = checkpoint_url;
  options.log_dir = export_url.empty() ? checkpoint_folder(checkpoint_url) : export_url;
  options.use_ema = use_ema;
  options.class_names = class_names_of(config, checkpoint_url);
  const std::string dir = export_model(options);
  if (as_json)
    std::cout << json_text(nlohmann::json{{"export_dir", dir}}) << '\n';
  else
    std::cout << dir << '\n';
  return kDone;
}

}  // namespace mox::cli
