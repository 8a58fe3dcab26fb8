// TensorBoard's events: scalars and the graph's summaries, and histograms of the variables.
#pragma once

#include <functional>
#include <memory>

#include "graph/built_graph.h"
#include "run/checkpoint_writer.h"
#include "run/observers/fetch_plan.h"
#include "run/observers/log_observer.h"
#include "run/observers/metrics_observer.h"
#include "run/step_observer.h"
#include "run/summary_writer.h"

namespace mox {

// In the steps of the plan: log_info, the loss where that has none, the learning rate, the rate of the log's line, and
// what the graph's summary operations make.
class SummaryObserver : public StepObserver {
 public:
  SummaryObserver(const BuiltGraph& graph, FetchPlan& plan, const MetricsObserver& metrics, const LogObserver& log,
                  std::shared_ptr<SummaryWriter> writer);
  int64_t wants(const StepNumber& number) override { return plan_.at(number.local).summary; }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  void end(const Ending&) override { writer_->flush(); }

 private:
  const BuiltGraph& graph_;
  FetchPlan& plan_;
  const MetricsObserver& metrics_;
  const LogObserver& log_;
  const std::shared_ptr<SummaryWriter> writer_;
  bool adds_loss_ = true;  // log_info has none
};

class HistogramObserver : public StepObserver {
 public:
  // Every `every` steps, from the first on. `read` gives the variables.
  HistogramObserver(int64_t every, std::function<NamedValues()> read, std::shared_ptr<SummaryWriter> writer)
      : every_(every), read_(std::move(read)), writer_(std::move(writer)) {}
  void after_step(const StepResult& result) override {
    if (result.number.local % every_ == 0) writer_->add_histograms(result.number.global, read_());
  }

 private:
  const int64_t every_;
  const std::function<NamedValues()> read_;
  const std::shared_ptr<SummaryWriter> writer_;
};

}  // namespace mox
