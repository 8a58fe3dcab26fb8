#include "run/cluster_run.h"

#include <fmt/format.h>

#include "moxing/error.h"
#include "run/collective_run.h"
#include "run/server_run.h"
#include "tensorflow/core/lib/hash/hash.h"

namespace mox {

namespace tf = tensorflow;

StepPeers::~StepPeers() = default;

std::unique_ptr<ClusterRun> ClusterRun::of(const RunConfig& config) {
  if (config.run_mode == ModeKeys::TRAIN && config.cluster.has_servers()) return std::make_unique<ServerRun>(config);
  if (!config.cluster.has_others()) return nullptr;
  return std::make_unique<CollectiveRun>(config);
}

void ClusterRun::sum(std::vector<double>*) { throw Error("a training has nothing to sum over its processes"); }

std::vector<std::string> ClusterRun::gather(const std::string&) {
  throw Error("a training has nothing to gather from its processes");
}

std::vector<std::pair<std::string, std::string>> settings_of_all(const RunConfig& config, const BuiltGraph& graph) {
  std::string variables;
  for (const VariableInfo& variable : graph.variables)
    variables += fmt::format("{} {} {} {}\n", variable.name, tf::DataTypeString(variable.dtype),
                             variable.shape.DebugString(), variable.trainable);
  return {{"run_mode", to_string(graph.mode)},
          {"model (its variables)", fmt::format("{} of them, {:016x}", graph.variables.size(), tf::Hash64(variables))},
          {"random_seed", std::to_string(config.random_seed)},
          {"batch_size", std::to_string(config.batch_size)},
          {"--num_gpus", std::to_string(config.num_gpus)},
          {"max_number_of_steps", std::to_string(config.max_number_of_steps)},
          {"num_epochs", fmt::format("{}", config.num_epochs)},
          {"samples_per_epoch", std::to_string(config.samples_per_epoch)},
          {"eval_every_n_epochs", std::to_string(config.eval_every_n_epochs)},
          {"eval_every_n_steps", std::to_string(config.eval_every_n_steps)},
          {"plateau_patience", std::to_string(config.plateau_patience)}};
}

}  // namespace mox
