#include "run/observers/metrics_observer.h"

#include "run/tensor_values.h"

namespace mox {

int64_t MetricsObserver::wants(const StepNumber& number) {
  const FetchPlan::Step& plan = plan_.at(number.local);
  return plan.log || plan.summary;
}

void MetricsObserver::request(int64_t, StepRequest* request) const {
  for (int tower = 0; tower < devices_of(request->towers); ++tower)
    for (const NamedTensor& info : graph_.towers[tower].log_info) request->fetches.push_back(info.tensor);
}

void MetricsObserver::after_step(const StepResult& result) {
  fetched_ = result.wanted != 0;
  if (!fetched_) return;
  devices_ = devices_of(result.towers);
  metrics_.clear();
  const auto& names = graph_.towers[0].log_info;
  for (size_t i = 0; i < names.size(); ++i) {
    double sum = 0;
    for (int device = 0; device < devices_; ++device)
      sum += scalar_value(result.fetched[device * names.size() + i], names[i].name);
    metrics_.emplace_back(names[i].name, sum / devices_);
  }
  if (!mean_) return;
  add_to_mean();
  if (plan_.at(result.number.local).line) take_mean();
}

void MetricsObserver::report(const Ending&, RunResult* result) {
  if (summed_ > 0) take_mean();
  result->metrics = shown();
}

void MetricsObserver::add_to_mean() {
  if (summed_++ == 0) sums_ = Metrics();
  sums_.resize(metrics_.size());
  for (size_t i = 0; i < metrics_.size(); ++i) {
    sums_[i].first = metrics_[i].first;
    sums_[i].second += metrics_[i].second;
  }
}

void MetricsObserver::take_mean() {
  means_ = sums_;
  for (auto& [name, value] : means_) value /= static_cast<double>(summed_);
  summed_ = 0;
}

std::vector<std::string> MetricsObserver::names() const {
  std::vector<std::string> names;
  for (const NamedTensor& info : graph_.towers[0].log_info) names.push_back(info.name);
  return names;
}

MeanMetrics::MeanMetrics(const MetricsObserver& metrics, Sum sum) : metrics_(metrics), sum_(std::move(sum)) {
  for (const std::string& name : metrics.names()) sums_.emplace_back(name, 0);
}

void MeanMetrics::after_step(const StepResult&) {
  const Metrics* metrics = metrics_.current();
  if (!metrics) return;
  ++steps_;
  count_ += metrics_.devices();
  for (size_t i = 0; i < metrics->size(); ++i) sums_[i].second += (*metrics)[i].second * metrics_.devices();
}

void MeanMetrics::report(const Ending& ending, RunResult* result) {
  if (sum_ && ending.how != Ending::kInterrupted) {
    std::vector<double> numbers = {static_cast<double>(count_), static_cast<double>(steps_)};
    for (const auto& [name, sum] : sums_) numbers.push_back(sum);
    sum_(&numbers);
    count_ = static_cast<int64_t>(numbers[0]);
    steps_ = static_cast<int64_t>(numbers[1]);
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i].second = numbers[i + 2];
  }
  result->steps = steps_;
  result->metrics = sums_;
  for (auto& [name, sum] : result->metrics) sum /= std::max<int64_t>(1, count_);
}

}  // namespace mox
