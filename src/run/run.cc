#include "moxing/run.h"

#include "moxing/error.h"
#include "run/checkpoint_loader.h"
#include "run/engine.h"
#include "run/export_folder.h"
#include "run/exporter.h"
#include "run/function_checks.h"
#include "run/graph_assembly.h"
#include "run/graph_builder.h"

namespace mox {
namespace {

RunConfig config_of(const RunOptions& options) {
  RunConfig config;
  config.mode = options.run_mode;
  config.batch_size = options.batch_size;
  config.log_dir = options.log_dir;
  config.max_number_of_steps = options.max_number_of_steps;
  config.checkpoint_path = options.checkpoint_path;
  config.log_every_n_steps = options.log_every_n_steps;
  config.output_every_n_steps = options.output_every_n_steps;
  config.save_summary_steps = options.save_summary_steps;
  config.save_model_secs = options.save_model_secs;
  config.save_model_steps = options.save_model_steps;
  config.keep_checkpoint_max = options.keep_checkpoint_max;
  config.keep_best = options.keep_best;
  config.keep_best_mode = options.keep_best_mode;
  config.save_histogram_steps = options.save_histogram_steps;
  config.export_model = !options.export_model.empty();
  config.trace_step = options.trace_step;
  config.stall_seconds = options.stall_report_secs;
  config.output_fn = options.output_fn;
  config.fetch_strategy_fn = options.fetch_strategy_fn;
  config.begin_fn = options.begin_fn;
  return config;
}

void check_functions(const RunOptions& options) {
  RunFunctions functions;
  functions.input_fn.given = static_cast<bool>(options.input_fn);
  functions.model_fn.given = static_cast<bool>(options.model_fn);
  for (const OptimizerFn& function : options.optimizer_fn.all())
    functions.optimizer_fn.push_back({static_cast<bool>(function), ""});
  check_functions(functions, options.run_mode, Language::kCpp);
  if (options.inter_mode && options.run_mode != ModeKeys::TRAIN)
    throw InvalidArgumentError(std::string("inter_mode is for run_mode TRAIN; run_mode is ") +
                               to_string(options.run_mode) + ": leave it out");
  if (options.inter_mode == ModeKeys::EXPORT)
    throw InvalidArgumentError("inter_mode is EXPORT; expected TRAIN, EVAL or PREDICT");
  if (!options.export_model.empty() && options.export_model != export_keys::TF_SERVING)
    throw InvalidArgumentError("export_model '" + options.export_model + "' is not known; there is TF_SERVING");
}

}  // namespace

RunResult run(const RunOptions& options) {
  check_functions(options);
  RunConfig config = config_of(options);
  apply_flags(&config);
  validate(config);
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(options, config, &batch);
  std::optional<BuiltGraph> export_graph;
  if (config.export_model) {
    export_graph = build_export_graph(options.model_fn, export_inputs(batch, options.auto_batch));
    export_graph->class_names = graph.class_names;
  }
  return run_built_graph(std::move(graph), std::move(export_graph), config);
}

std::string export_model(const ExportOptions& options) {
  if (!options.model_fn) throw InvalidArgumentError("ExportOptions.model_fn is needed");
  if (options.inputs.empty())
    throw InvalidArgumentError("ExportOptions.inputs is needed: dtype and shape of what model_fn gets");
  RunConfig config;
  config.mode = ModeKeys::EXPORT;
  config.checkpoint_path = options.checkpoint_path;
  std::vector<InputTensor> batch;
  for (const ExportOptions::Input& input : options.inputs) batch.push_back({"", input.dtype, input.shape});
  BuiltGraph graph = build_export_graph(options.model_fn, export_inputs(batch, false));
  graph.class_names = options.class_names;
  check_writable(options.log_dir);
  check_export_dir(options.log_dir, graph.export_info.version);
  const LoadedCheckpoint checkpoint = load_checkpoint(graph.variables, FiniteWeights(graph), config);
  return export_saved_model(graph, {checkpoint.values.begin(), checkpoint.values.end()}, options.log_dir);
}

}  // namespace mox
