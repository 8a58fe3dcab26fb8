#include "run/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_text.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Labels read "node = Op(inputs)".
std::string op_type(const tf::NodeExecStats& node) {
  const std::string& label = node.timeline_label();
  const size_t equals = label.find(" = "), paren = label.find('(');
  if (equals == std::string::npos || paren == std::string::npos || paren < equals) return node.node_name();
  return label.substr(equals + 3, paren - equals - 3);
}

int64_t micros(const tf::NodeExecStats& node) {
  return std::max<int64_t>(1, node.op_end_rel_micros() - node.op_start_rel_micros());
}

}  // namespace

std::string timeline_json(const tf::StepStats& stats) {
  nlohmann::json events = nlohmann::json::array();
  for (int device = 0; device < stats.dev_stats_size(); ++device) {
    events.push_back({{"ph", "M"},
                      {"name", "process_name"},
                      {"pid", device},
                      {"args", {{"name", stats.dev_stats(device).device()}}}});
    for (const tf::NodeExecStats& node : stats.dev_stats(device).node_stats())
      events.push_back({{"ph", "X"},
                        {"name", op_type(node)},
                        {"pid", device},
                        {"tid", node.thread_id()},
                        {"ts", node.all_start_micros() + node.op_start_rel_micros()},
                        {"dur", micros(node)},
                        {"args", {{"node", node.node_name()}}}});
  }
  return json_text(nlohmann::json{{"traceEvents", events}});
}

std::string cost_table(const tf::StepStats& stats, int rows) {
  struct Cost {
    int64_t micros = 0;
    int calls = 0;
  };
  std::map<std::string, Cost> costs;
  int64_t total = 0;
  for (const auto& device : stats.dev_stats()) {
    for (const tf::NodeExecStats& node : device.node_stats()) {
      Cost& cost = costs[op_type(node)];
      cost.micros += micros(node);
      ++cost.calls;
      total += micros(node);
    }
  }
  std::vector<std::pair<std::string, Cost>> sorted(costs.begin(), costs.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.micros > b.second.micros; });
  std::string table = fmt::format("{:<40} {:>9} {:>7} {:>6}", "operation", "ms", "share", "calls");
  for (size_t i = 0; i < sorted.size() && i < static_cast<size_t>(rows); ++i)
    table += fmt::format("\n{:<40} {:>9.3f} {:>6.1f}% {:>6}", sorted[i].first, sorted[i].second.micros / 1e3,
                         100.0 * sorted[i].second.micros / total, sorted[i].second.calls);
  return table;
}

}  // namespace mox
