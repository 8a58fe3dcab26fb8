// What the model logs: log_info of the devices, as numbers for all that use them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "graph/built_graph.h"
#include "run/best_checkpoint.h"
#include "run/observers/fetch_plan.h"
#include "run/step_logger.h"
#include "run/step_observer.h"

namespace mox {

// Fetches log_info in the steps that log or have summaries. Stands before the observers that use it.
class MOX_EXPORT MetricsObserver : public StepObserver {
 public:
  // `first_tower`: the first device's log_info counts; otherwise the mean over those that take part. `mean`: what lines
  // show is the mean over the steps since the line before.
  MetricsObserver(const BuiltGraph& graph, FetchPlan& plan, bool first_tower, bool mean = false)
      : graph_(graph), plan_(plan), first_tower_(first_tower), mean_(mean) {}

  int64_t wants(const StepNumber& number) override;
  bool plans_ahead() const override { return plan_.plans_ahead(); }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  // RunResult::metrics: the last ones that were shown; of means, those of the steps since then.
  void report(const Ending& ending, RunResult* result) override;

  // Of the step under way; nullptr when it fetched none.
  const Metrics* current() const { return fetched_ ? &metrics_ : nullptr; }
  // What a line of this step shows, and before it the last one did.
  const Metrics& shown() const { return mean_ && !means_.empty() ? means_ : metrics_; }
  std::vector<std::string> names() const;
  // How many devices they are the mean of.
  int devices() const { return devices_; }

 private:
  int devices_of(int towers) const { return first_tower_ ? 1 : towers; }

  const BuiltGraph& graph_;
  FetchPlan& plan_;
  void add_to_mean();
  void take_mean();  // of what was added since it was taken last

  const bool first_tower_, mean_;
  bool fetched_ = false;
  int devices_ = 1;
  Metrics metrics_;
  Metrics sums_, means_;  // since the mean was taken; what it was
  int64_t summed_ = 0;
};

// RunResult::metrics: the means over all steps and devices, which are logged at the end.
class MOX_EXPORT MeanMetrics : public StepObserver {
 public:
  // Sums numbers over all processes, in place.
  using Sum = std::function<void(std::vector<double>*)>;
  // `sum`: empty without other processes. Stands behind the observers that exchange something in each step.
  explicit MeanMetrics(const MetricsObserver& metrics, Sum sum = {});
  void after_step(const StepResult& result) override;
  void report(const Ending& ending, RunResult* result) override;

 private:
  const MetricsObserver& metrics_;
  const Sum sum_;
  Metrics sums_;
  int64_t steps_ = 0;
  int64_t count_ = 0;  // steps, times the devices whose log_info counts
};

// The metric that decides which checkpoint is the best.
class MonitoredMetric : public StepObserver {
 public:
  MonitoredMetric(const MetricsObserver& metrics, std::string name) : metrics_(metrics), mean_(std::move(name)) {}
  void after_step(const StepResult& result) override {
    if (metrics_.current()) mean_.add(*metrics_.current());
  }
  MetricMean& mean() { return mean_; }

 private:
  const MetricsObserver& metrics_;
  MetricMean mean_;
};

}  // namespace mox
