// Which checkpoint was the best by a metric that the model logs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/built_graph.h"
#include "run/run_config.h"

namespace mox {

// The metric between two checkpoints: the mean of what was logged.
class MetricMean {
 public:
  explicit MetricMean(std::string name) : name_(std::move(name)) {}
  void add(const std::vector<std::pair<std::string, double>>& metrics);
  // Since the last call; nothing when nothing was logged.
  std::optional<double> take();

 private:
  const std::string name_;
  double sum_ = 0;
  int count_ = 0;
};

// What best_checkpoint.json of a folder says: survives restarts.
class BestCheckpoint {
 public:
  // Nothing more is kept when `metric` is ""; what the file names stays until another is better by `metric`.
  BestCheckpoint(std::string dir, std::string metric, const std::string& mode);

  // Prefix, "" for none.
  const std::string& prefix() const { return prefix_; }
  bool is_better(const std::optional<double>& value) const;
  // The checkpoint turned out to be of no use: whatever comes is better.
  void forget_value();
  // Writes the file in one step.
  void set(const std::string& prefix, int64_t step, double value);

 private:
  const std::string dir_, metric_;
  double sign_ = 1;  // -1: less is better
  std::string prefix_;
  double value_ = 0;
};

// The prefix that best_checkpoint.json of `dir` names, whatever the metric; "" when there is none.
std::string best_checkpoint_in(const std::string& dir);

// InvalidArgumentError when RunConfig::keep_best is none of the model's log_info; with a validation that of its mode.
void check_keep_best(const BuiltGraph& graph, const RunConfig& config);

}  // namespace mox
