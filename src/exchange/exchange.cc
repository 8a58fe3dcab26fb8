#include "exchange/exchange.h"

#include "exchange/loss_scale.h"

namespace mox {
namespace {

void unscale_dynamically(BuiltGraph* graph, Exchange* exchange, const GradientOptions& options) {
  const DynamicLossScaleOptions scale{
      .growth_steps = options.loss_scale_growth_steps,
      .global_step = global_step_variable(*graph).handle,
      .increment = graph->increment,
      .all_finite = [&](const std::string& finite) { return exchange->all_finite(graph, finite); }};
  DynamicLossScale added = make_loss_scale_dynamic(&graph->graph, graph->scaled_gradients, scale, &graph->train_ops);
  graph->fetchable = std::move(added.fetchable);
  for (const AddedVariable& v : added.variables)
    graph->variables.push_back({v.name, v.name, v.initializer, v.dtype, {}, false, true});
}

}  // namespace

Exchange::~Exchange() = default;

void connect_gradients(BuiltGraph* graph, Exchange* exchange, const GradientOptions& options) {
  if (options.dynamic_loss_scale)
    unscale_dynamically(graph, exchange, options);
  else if (options.loss_scale != 1)
    unscale_gradients(&graph->graph, graph->scaled_gradients, options.loss_scale);
  exchange->join(graph);
  clip_gradients(&graph->graph, graph->gradients, options.clip);
}

}  // namespace mox
