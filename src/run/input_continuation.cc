#include "run/input_continuation.h"

#include <fmt/format.h>

#include "graph/input_position.h"
#include "graph/node_defs.h"
#include "moxing/log.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kVariable[] = "input_order_seed";

using Feed = std::pair<std::string, tf::Tensor>;

// The placeholders of the training's own data sets, not of inter_mode's.
std::vector<Feed*> feeds_named(BuiltGraph* graph, const char* name) {
  std::vector<Feed*> found;
  for (Feed& feed : graph->feeds) {
    const auto is_inter = [&](const Feed& other) { return other.first == feed.first; };
    if (graph->inter && std::any_of(graph->inter->feeds.begin(), graph->inter->feeds.end(), is_inter)) continue;
    if (input_position::is(feed.first, name)) found.push_back(&feed);
  }
  return found;
}

tf::Tensor scalar(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

}  // namespace

void add_input_order(BuiltGraph* graph) {
  const std::vector<Feed*> seeds = feeds_named(graph, input_position::kOrderSeed);
  if (seeds.empty()) return;
  tf::Tensor values(tf::DT_INT64, {static_cast<int64_t>(seeds.size())});
  for (size_t i = 0; i < seeds.size(); ++i) values.vec<int64_t>()(i) = seeds[i]->second.scalar<int64_t>()();
  NodeMaker(&graph->graph, kVariable, "VarHandleOp")
      .attr("dtype", tf::DT_INT64)
      .attr("shape", values.shape())
      .attr("shared_name", std::string(kVariable))
      .attr("container", std::string());
  const std::string initial = add_const(&graph->graph, std::string(kVariable) + "/initial_value", values);
  const std::string assign = std::string(kVariable) + "/Assign";
  NodeMaker(&graph->graph, assign, "AssignVariableOp").input(kVariable).input(initial).attr("dtype", tf::DT_INT64);
  graph->variables.push_back({kVariable, kVariable, assign, tf::DT_INT64, values.shape(), false, true});
}

void continue_input(BuiltGraph* graph, LoadedCheckpoint* checkpoint) {
  if (!checkpoint->resumed) {
    checkpoint->values.erase(kVariable);
    return;
  }
  const int64_t place = checkpoint->global_step * graph->samples_per_step;
  const std::vector<Feed*> first = feeds_named(graph, input_position::kFirstSample);
  for (Feed* feed : first) feed->second = scalar(place);
  const std::vector<Feed*> seeds = feeds_named(graph, input_position::kOrderSeed);
  const auto saved = checkpoint->values.find(kVariable);
  if (saved != checkpoint->values.end())
    for (size_t i = 0; i < seeds.size(); ++i) seeds[i]->second = scalar(saved->second.vec<int64_t>()(i));
  if (!first.empty()) log_info(fmt::format("the input goes on at sample {}", place));
}

}  // namespace mox
