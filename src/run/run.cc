#include "moxing/run.h"

#include "moxing/error.h"
#include "run/checkpoint_loader.h"
#include "run/engine.h"
#include "run/export_folder.h"
#include "run/exporter.h"
#include "run/function_checks.h"
#include "run/graph_assembly.h"
#include "run/graph_builder.h"
#include "run/new_folders.h"
#include "run/ps_process.h"

namespace mox {
namespace {

void check_functions(const RunOptions& options) {
  RunFunctions functions;
  functions.input_fn.given = static_cast<bool>(options.input_fn);
  functions.model_fn.given = static_cast<bool>(options.model_fn);
  for (const OptimizerFn& function : options.optimizer_fn.all())
    functions.optimizer_fn.push_back({static_cast<bool>(function), ""});
  check_functions(functions, options.run_mode, Language::kCpp);
}

}  // namespace

RunResult run(const RunOptions& options) {
  check_functions(options);
  RunConfig config{options};
  apply_flags(&config);
  const NewFolders folders(config);
  validate(config);
  if (config.cluster.is_ps) return run_as_ps(config);
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  std::optional<BuiltGraph> export_graph;
  if (!config.export_model.empty()) {
    export_graph = build_export_graph(options.model_fn, export_inputs(batch, config.auto_batch));
    export_graph->class_names = graph.class_names;
  }
  return run_built_graph(std::move(graph), std::move(export_graph), config);
}

std::string export_model(const ExportOptions& options) {
  if (!options.model_fn) throw InvalidArgumentError("ExportOptions.model_fn is needed");
  if (options.inputs.empty())
    throw InvalidArgumentError("ExportOptions.inputs is needed: dtype and shape of what model_fn gets");
  RunConfig config;
  config.run_mode = ModeKeys::EXPORT;
  config.checkpoint_path = options.checkpoint_path;
  config.use_ema = options.use_ema;
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
