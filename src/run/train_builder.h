// TRAIN in the C++ front end: the gradients of each loss on each device, and the optimizers that apply them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "moxing/run.h"
#include "run/graph_assembly.h"
#include "run/run_config.h"

namespace mox {

class TrainBuilder {
 public:
  // `root`: of the graph. All live longer than this.
  TrainBuilder(const Scope& root, const RunConfig& config, GraphAssembly* assembly);

  // The gradients of the losses of the device that was added last. InvalidArgumentError when one cannot be trained.
  void add_tower(const Scope& scope, const std::vector<tensorflow::Output>& losses);
  // What is built once: optimizers, updates, the global step's increment.
  void build();

 private:
  using Gradients = std::vector<GradientAndVariable>;  // of one loss on one device
  using Optimizers = std::vector<std::unique_ptr<Optimizer>>;

  Gradients gradients(const Scope& scope, const tensorflow::Output& loss, size_t number);
  std::vector<Variable> trained_variables(const tensorflow::Output& loss, size_t number) const;
  tensorflow::Output scaled(const tensorflow::Scope& scope, const tensorflow::Output& loss);
  Optimizers make_optimizers() const;
  std::vector<Gradients> make_slots(const Optimizers& optimizers);
  void prepare_gradients(size_t loss, Optimizer& optimizer);
  Gradients gradient_slots(size_t loss);
  std::vector<tensorflow::Operation> operations() const;

  const Scope& root_;
  const RunConfig& config_;
  GraphAssembly* const assembly_;
  std::vector<std::vector<Gradients>> gradients_;  // [loss][tower]
  std::vector<Scope> tower_scopes_;
  std::optional<tensorflow::Output> loss_scale_;
};

}  // namespace mox
