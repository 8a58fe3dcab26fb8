#include "run/input_continuation.h"

#include <fmt/format.h>

#include "graph/node_defs.h"
#include "input/input_position.h"
#include "moxing/log.h"
#include "run/sample_count.h"
#include "run/state_variable.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSeed[] = "input_order_seed";
constexpr char kPlace[] = "input_place";
constexpr char kWorkers[] = "mox_workers";  // how many there are now; no part of a checkpoint

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

tf::Tensor share_of(const input_position::Share& share) {
  tf::Tensor t(tf::DT_INT64, {4});
  t.vec<int64_t>().setValues({share.first, share.worker, share.workers, share.block});
  return t;
}

std::string samples_of(BuiltGraph* graph, size_t tower) {
  return add_sample_count(graph, tower, fmt::format("{}/samples_{}", kPlace, tower));
}

}  // namespace

namespace {

// `samples` of this worker, times the workers.
std::string of_all_workers(BuiltGraph* graph, const std::string& samples) {
  const std::string folder = fmt::format("{}/", kWorkers);
  tf::GraphDef* def = &graph->graph;
  NodeMaker(def, kWorkers, "VarHandleOp")
      .attr("dtype", tf::DT_INT64)
      .attr("shape", tf::TensorShape())
      .attr("shared_name", std::string(kWorkers))
      .attr("container", std::string());
  NodeMaker(def, folder + "value", "Placeholder").attr("dtype", tf::DT_INT64).attr("shape", tf::TensorShape());
  NodeMaker(def, folder + "assign", "AssignVariableOp")
      .input(kWorkers)
      .input(folder + "value")
      .attr("dtype", tf::DT_INT64);
  NodeMaker(def, folder + "read", "ReadVariableOp").input(kWorkers).attr("dtype", tf::DT_INT64);
  NodeMaker(def, folder + "samples", "Mul").input(samples).input(folder + "read").attr("T", tf::DT_INT64);
  return folder + "samples";
}

}  // namespace

void add_input_order(BuiltGraph* graph, bool several_workers) {
  const std::vector<Feed*> seeds = feeds_named(graph, input_position::kOrderSeed);
  if (seeds.empty()) return;
  tf::Tensor values(tf::DT_INT64, {static_cast<int64_t>(seeds.size())});
  for (size_t i = 0; i < seeds.size(); ++i) values.vec<int64_t>()(i) = seeds[i]->second.scalar<int64_t>()();
  add_state_variable(graph, kSeed, values);
  add_state_variable(graph, kPlace, scalar(0));
  std::string samples = samples_of(graph, 0);
  if (graph->towers.size() > 1) {
    std::vector<std::string> of_towers{samples};
    for (size_t i = 1; i < graph->towers.size(); ++i) of_towers.push_back(samples_of(graph, i));
    samples = fmt::format("{}/samples", kPlace);
    NodeMaker sum(&graph->graph, samples, "AddN");
    for (const std::string& of_tower : of_towers) sum.input(of_tower);
    sum.attr("N", static_cast<int64_t>(of_towers.size())).attr("T", tf::DT_INT64);
  }
  if (several_workers) samples = of_all_workers(graph, samples);
  const std::string advance = fmt::format("{}/advance", kPlace);
  // Last of all: a step that fails has taken nothing.
  NodeMaker add(&graph->graph, advance, "AssignAddVariableOp");
  add.input(kPlace).input(samples).attr("dtype", tf::DT_INT64).control(graph->increment);
  for (const TowerInfo& tower : graph->towers) add.control(node_of(tower.inputs.front()));
  graph->train_ops.push_back(advance);
}

namespace {

void feed_seeds(BuiltGraph* graph, const tf::Tensor& seeds) {
  const std::vector<Feed*> fed = feeds_named(graph, input_position::kOrderSeed);
  for (size_t i = 0; i < fed.size() && static_cast<int64_t>(i) < seeds.NumElements(); ++i)
    fed[i]->second = scalar(seeds.flat<int64_t>()(static_cast<int64_t>(i)));
}

// What inter_mode reads it reads whole, on each worker.
void feed_whole_to_inter(BuiltGraph* graph) {
  if (!graph->inter) return;
  for (Feeds* feeds : {&graph->feeds, &graph->inter->feeds})
    for (Feed& feed : *feeds)
      if (input_position::is(feed.first, input_position::kShare)) feed.second = share_of({});
}

bool has_variable(const BuiltGraph& graph, const char* name) {
  return std::any_of(graph.variables.begin(), graph.variables.end(), [&](const auto& v) { return v.name == name; });
}

}  // namespace

void take_share(BuiltGraph* graph, EngineSession* session, input_position::Share share, int64_t group_seed) {
  feed_whole_to_inter(graph);
  if (has_variable(*graph, kPlace)) {
    share.first = session->read(kPlace).scalar<int64_t>()();
    feed_seeds(graph, session->read(kSeed));
    session->run_operation(fmt::format("{}/assign", kWorkers),
                           {{fmt::format("{}/value", kWorkers), scalar(share.workers)}});
  }
  for (Feed* feed : feeds_named(graph, input_position::kShare)) feed->second = share_of(share);
  // Data sets with shards of their own count what is theirs.
  for (Feed* feed : feeds_named(graph, input_position::kFirstSample))
    feed->second = scalar(share.first / share.workers);
  for (Feed* feed : feeds_named(graph, input_position::kGroupSeed)) feed->second = scalar(group_seed);
}

void continue_input(BuiltGraph* graph, LoadedCheckpoint* checkpoint) {
  if (!checkpoint->resumed) {
    for (const char* name : {kSeed, kPlace}) checkpoint->values.erase(name);
    return;
  }
  std::vector<Feed*> first = feeds_named(graph, input_position::kFirstSample);
  const std::vector<Feed*> shares = feeds_named(graph, input_position::kShare);
  first.insert(first.end(), shares.begin(), shares.end());
  if (first.empty()) return;
  // A checkpoint without the place: one that an earlier version wrote, or another program.
  tf::Tensor& place =
      checkpoint->values.try_emplace(kPlace, scalar(checkpoint->global_step * graph->samples_per_step)).first->second;
  for (Feed* feed : first)
    if (feed->second.dims() == 0) feed->second = place;
  if (const auto saved = checkpoint->values.find(kSeed); saved != checkpoint->values.end())
    feed_seeds(graph, saved->second);
  log_info(fmt::format("the input goes on at sample {}", place.scalar<int64_t>()()));
}

}  // namespace mox
