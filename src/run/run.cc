#include "moxing/run.h"

#include "moxing/error.h"
#include "run/checkpoint_loader.h"
#include "run/engine.h"
#include "run/export_folder.h"
#include "run/exporter.h"
#include "run/graph_builder.h"

namespace mox {
namespace {

void check_functions(const RunOptions& options) {
  if (!options.input_fn) throw InvalidArgumentError("RunOptions.input_fn is needed");
  if (!options.model_fn) throw InvalidArgumentError("RunOptions.model_fn is needed");
  if (options.run_mode == ModeKeys::TRAIN && !options.optimizer_fn)
    throw InvalidArgumentError("RunOptions.optimizer_fn is needed in TRAIN; get_optimizer_fn(\"sgd\", 0.01) makes one");
}

}  // namespace

RunResult run(const RunOptions& options) {
  check_functions(options);
  RunConfig config{options};
  apply_flags(&config);
  validate(config);
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(options, config, &batch);
  std::optional<BuiltGraph> export_graph;
  if (!config.export_model.empty()) {
    if (options.auto_batch)
      for (InputTensor& input : batch) input.shape.set_dim(0, -1);  // a server chooses its own batch size
    export_graph = build_export_graph(options.model_fn, config, batch);
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
  std::vector<InputTensor> batch;
  for (const ExportOptions::Input& input : options.inputs) batch.push_back({"", input.dtype, input.shape});
  BuiltGraph graph = build_export_graph(options.model_fn, config, batch);
  graph.class_names = options.class_names;
  check_writable(options.log_dir);
  check_export_dir(options.log_dir, graph.export_info.version);
  const LoadedCheckpoint checkpoint = load_checkpoint(graph.variables, FiniteWeights(graph), config);
  return export_saved_model(graph, {checkpoint.values.begin(), checkpoint.values.end()}, options.log_dir);
}

}  // namespace mox
