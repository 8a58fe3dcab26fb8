// Steps of a session: what is fetched, fed and run for one, and what its errors mean.
#include <fmt/format.h>

#include <optional>
#include <unordered_map>

#include "base/blocked_signals.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/step_variants.h"
#include "moxing/error.h"
#include "passes/joined.h"
#include "run/engine_session.h"
#include "run/past_end.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// TensorFlow refuses to fetch what is fed, and a server's session to fetch a tensor twice: what is left to compute, and
// where each fetch comes from (see Prepared).
std::vector<std::string> to_compute(const std::vector<std::string>& fetches, const std::vector<std::string>& feeds,
                                    std::vector<int>* source) {
  std::unordered_map<std::string, int> known;
  for (size_t i = 0; i < feeds.size(); ++i) known[parse_tensor(feeds[i]).text()] = ~static_cast<int>(i);
  std::vector<std::string> computed;
  for (const std::string& fetch : fetches) {
    const auto [found, added] = known.emplace(parse_tensor(fetch).text(), static_cast<int>(computed.size()));
    if (added) computed.push_back(fetch);
    source->push_back(found->second);
  }
  if (computed.size() == fetches.size()) source->clear();
  return computed;
}

std::vector<tf::Tensor> with_fed(std::vector<tf::Tensor> computed, const std::vector<tf::Tensor>& fed,
                                 const std::vector<int>& source) {
  if (source.empty()) return computed;
  std::vector<tf::Tensor> results;
  for (int from : source) results.push_back(from < 0 ? fed[~from] : computed[from]);
  return results;
}

// What TensorFlow makes of an iterator's end: "End of sequence\n\t [[{{node input/get_next_0}}]]", and the names of
// nodes that wait for its result. Each operation that failed stands in double braces.
bool is_end_of(const std::string& message, const std::set<std::string>& inputs) {
  constexpr std::string_view kEnd = "End of sequence", kNode = "{{node ";
  size_t ends = 0;
  for (size_t at = message.find(kEnd); at != std::string::npos; at = message.find(kEnd, at + 1)) ++ends;
  size_t nodes = 0;
  for (size_t at = message.find(kNode); at != std::string::npos; at = message.find(kNode, at + 1), ++nodes) {
    const size_t start = at + kNode.size();
    if (!inputs.count(message.substr(start, message.find("}}", start) - start))) return false;
  }
  return nodes > 0 && ends == nodes;
}

// What another operation does computes nothing, or not all, any more of what is fed in its place.
void check_feeds(const tf::GraphDef& graph, const std::vector<std::string>& feeds) {
  if (feeds.empty()) return;
  const NodeIndex index = index_nodes(graph);
  for (const std::string& feed : feeds) {
    const auto found = index.find(node_of(feed));
    if (found == index.end()) continue;
    if (const std::string switched_by = joined_by(*found->second); !switched_by.empty())
      throw InvalidArgumentError(fmt::format(
          "{} is fed, but what follows it is not computed of it: one operation computes what it does and what "
          "follows; set {}=0 to feed it",
          feed, switched_by));
  }
}

}  // namespace

void EngineSession::use_variant(size_t variant) {
  if (variant == variant_) return;
  const StepVariant& entered = graph_.variants[variant];
  if (!entered.enter.empty())
    if (const absl::Status status = session().Run({}, {}, entered.enter, nullptr); !status.ok())
      throw RunError(fmt::format("preparing {}: {}", entered.name, status.message()));
  variant_ = variant;
}

const std::vector<std::string>& EngineSession::variant_targets() const {
  static const std::vector<std::string> kNone;
  return graph_.variants.empty() ? kNone : graph_.variants[variant_].targets;
}

std::string EngineSession::in_variant(const std::string& name) const {
  return graph_.variants.empty() ? name : mox::in_variant(graph_.variants[variant_], name);
}

std::vector<std::string> EngineSession::fetchable(std::vector<std::string> fetches) const {
  for (std::string& fetch : fetches) {
    if (const auto found = graph_.fetchable.find(parse_tensor(fetch).text()); found != graph_.fetchable.end())
      fetch = parse_tensor(found->second).node + ":" + std::to_string(parse_tensor(found->second).port);
    fetch = in_variant(staged(fetch));
  }
  return fetches;
}

std::string EngineSession::staged(const std::string& tensor) const {
  const auto found = graph_.staged.find(parse_tensor(tensor).text());
  return found == graph_.staged.end() ? tensor : found->second + ":0";
}

std::string EngineSession::advance_of(const std::vector<std::string>& fetches, const std::vector<std::string>& targets,
                                      const std::vector<std::string>& feeds) const {
  if (graph_.stages.empty()) return "";
  const NodeIndex index = index_nodes(graph_.graph);
  std::set<std::string> fed, seen;
  for (const std::string& feed : feeds) fed.insert(parse_tensor(feed).text());
  std::vector<std::string> stack = fetches;
  stack.insert(stack.end(), targets.begin(), targets.end());
  while (!stack.empty()) {
    const TensorRef tensor = parse_tensor(stack.back());
    stack.pop_back();
    const auto found = index.find(tensor.node);
    if (fed.count(tensor.text()) || found == index.end() || !seen.insert(tensor.node).second) continue;
    stack.insert(stack.end(), found->second->input().begin(), found->second->input().end());
  }
  for (auto stage = graph_.stages.rbegin(); stage != graph_.stages.rend(); ++stage)
    if (seen.count(stage->taken)) return stage->advance;
  return "";
}

void EngineSession::check_run(const absl::Status& status, bool advances) {
  if (advances) staging_ = status;
  check_step(status);
}

// By what a hook runs. A step updates its copies itself.
bool EngineSession::writes_variables(const std::vector<std::string>& fetches,
                                     const std::vector<std::string>& targets) const {
  const NodeIndex index = index_nodes(graph_.graph);
  std::set<std::string> seen;
  std::vector<std::string> stack = fetches;
  stack.insert(stack.end(), targets.begin(), targets.end());
  bool writes = false;
  while (!stack.empty()) {
    const std::string name = node_of(stack.back());
    stack.pop_back();
    const auto found = index.find(name);
    if (found == index.end() || !seen.insert(name).second) continue;
    if (name == graph_.increment) return false;
    writes |= found->second->op().rfind("Assign", 0) == 0 || found->second->op().rfind("Resource", 0) == 0;
    stack.insert(stack.end(), found->second->input().begin(), found->second->input().end());
  }
  return writes;
}

EngineSession::Prepared EngineSession::prepare(const std::vector<std::string>& fetches,
                                               const std::vector<std::string>& targets,
                                               const std::vector<std::string>& feeds) {
  tf::CallableOptions options;
  Prepared prepared;
  std::vector<std::string> fed;
  for (const std::string& feed : feeds) options.add_feed(fed.emplace_back(staged(feed)));
  check_feeds(graph_.graph, fed);
  const std::vector<std::string> computed = to_compute(fetchable(fetches), fed, &prepared.source);
  for (const std::string& fetch : computed) options.add_fetch(fetch);
  for (const std::string& target : targets) options.add_target(in_variant(target));
  prepared.renews = !graph_.renew_copies.empty() && writes_variables(computed, targets);
  if (const std::string advance = advance_of(computed, targets, fed); !advance.empty()) {
    options.add_target(advance);
    prepared.advances = true;
  }
  if (options.fetch_size() == 0 && options.target_size() == 0) return prepared;
  prepared.callable = callables_.size();
  callables_.push_back({options, 0, -1});
  handle_of(prepared);
  return prepared;
}

tf::Session::CallableHandle EngineSession::handle_of(const Prepared& prepared) {
  Callable& callable = callables_[*prepared.callable];
  if (callable.session != sessions_)
    throw_if_error(unsettled().MakeCallable(callable.options, &callable.handle), "preparing the step");
  callable.session = sessions_;
  return callable.handle;
}

void EngineSession::check_step(const absl::Status& status) const {
  if (status.ok()) return;
  const std::string message(status.message());
  if (absl::IsOutOfRange(status) && is_end_of(message, own_inputs_)) throw EndOfInput();
  if (absl::IsOutOfRange(status)) throw PastEndOfOther(message);
  throw RunError(message);
}

std::vector<tf::Tensor> EngineSession::run(const Prepared& prepared, const std::vector<tf::Tensor>& fed) {
  if (prepared.advances) check_step(staging_);
  std::vector<tf::Tensor> fetched;
  absl::Status status;
  if (prepared.callable) {
    const tf::Session::CallableHandle handle = handle_of(prepared);
    std::optional<BlockedSignals> blocked;
    if (graph_.in_callers_thread) blocked.emplace();
    status = step_threads_.intra_op_threadpool
                 ? session().RunCallable(handle, fed, &fetched, nullptr, step_threads_)
                 : session().RunCallable(handle, fed, &fetched, nullptr);  // all sessions know this one
  }
  check_run(status, prepared.advances);
  if (prepared.renews) renew_copies();
  return with_fed(std::move(fetched), fed, prepared.source);
}

std::vector<tf::Tensor> EngineSession::run_traced(const Feeds& feeds, const std::vector<std::string>& fetches,
                                                  const std::vector<std::string>& targets, tf::StepStats* stats) {
  std::vector<std::string> fed_names;
  std::vector<tf::Tensor> fed;
  Feeds staged_feeds;
  for (const auto& [name, value] : feeds) {
    fed_names.push_back(staged(name));
    fed.push_back(value);
    staged_feeds.emplace_back(fed_names.back(), value);
  }
  check_feeds(graph_.graph, fed_names);
  std::vector<int> source;
  const std::vector<std::string> computed = to_compute(fetchable(fetches), fed_names, &source);
  tf::RunOptions options;
  options.set_trace_level(tf::RunOptions::FULL_TRACE);
  tf::RunMetadata metadata;
  std::vector<tf::Tensor> fetched;
  std::vector<std::string> all_targets;
  for (const std::string& target : targets) all_targets.push_back(in_variant(target));
  const std::string advance = advance_of(computed, targets, fed_names);
  if (!advance.empty()) {
    all_targets.push_back(advance);
    check_step(staging_);
  }
  std::optional<BlockedSignals> blocked;
  if (graph_.in_callers_thread) blocked.emplace();
  const absl::Status status =
      step_threads_.intra_op_threadpool
          ? session().Run(options, staged_feeds, computed, all_targets, &fetched, &metadata, step_threads_)
          : session().Run(options, staged_feeds, computed, all_targets, &fetched, &metadata);
  blocked.reset();
  check_run(status, !advance.empty());
  *stats = metadata.step_stats();
  return with_fed(std::move(fetched), fed, source);
}

}  // namespace mox
