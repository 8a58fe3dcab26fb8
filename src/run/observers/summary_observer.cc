#include "run/observers/summary_observer.h"

#include <algorithm>

#include "run/tensor_values.h"

namespace mox {

namespace tf = tensorflow;

SummaryObserver::SummaryObserver(const BuiltGraph& graph, FetchPlan& plan, const MetricsObserver& metrics,
                                 const LogObserver& log, std::shared_ptr<SummaryWriter> writer)
    : graph_(graph), plan_(plan), metrics_(metrics), log_(log), writer_(std::move(writer)) {
  const auto& logged = graph.towers[0].log_info;
  adds_loss_ = std::none_of(logged.begin(), logged.end(), [](const NamedTensor& info) { return info.name == "loss"; });
}

void SummaryObserver::request(int64_t, StepRequest* request) const {
  if (adds_loss_) request->fetches.push_back(graph_.towers[0].losses[0]);
  if (!graph_.learning_rates.empty()) request->fetches.push_back(graph_.learning_rates[0]);
  request->fetches.insert(request->fetches.end(), graph_.summaries.begin(), graph_.summaries.end());
}

void SummaryObserver::after_step(const StepResult& result) {
  if (result.wanted == 0) return;
  auto next = result.fetched.begin();
  // Where a line is logged, too, both say the same.
  Metrics scalars = plan_.at(result.number.local).line ? metrics_.shown() : *metrics_.current();
  if (adds_loss_) scalars.emplace_back("loss", scalar_value(*next++, "loss"));
  if (!graph_.learning_rates.empty()) scalars.emplace_back("learning_rate", scalar_value(*next++, "learning_rate"));
  if (log_.rate() > 0) scalars.emplace_back("sample/sec", log_.rate());
  writer_->add_scalars(result.number.global, scalars);
  for (; next != result.fetched.end(); ++next)
    writer_->add_serialized(result.number.global, std::string(next->scalar<tf::tstring>()()));
  writer_->flush();
}

}  // namespace mox
