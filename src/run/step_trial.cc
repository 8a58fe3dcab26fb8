#include "run/step_trial.h"

#include <fmt/format.h>

#include <algorithm>

#include "moxing/log.h"

namespace mox {
namespace {

// Steps: of each way before anything is measured; of a turn, the first of which does not count; turns of each way.
// Turns are short, and go forth and back, so that what else the machine does meets all ways alike.
constexpr int64_t kWarmUp = 2, kUncounted = 1, kTurn = 4, kTurns = 4;

}  // namespace

int64_t StepTrial::length(size_t variants) { return static_cast<int64_t>(variants) * (kWarmUp + kTurns * kTurn); }

StepTrial::StepTrial(const BuiltGraph& graph, EngineSession& session, StepPeers* peers, int64_t steps_left,
                     int64_t samples)
    : graph_(graph), session_(session), peers_(peers), samples_(samples) {
  restart(steps_left);
}

// One step more than the trial: with it the processes tell each other their times.
void StepTrial::restart(int64_t steps_left) {
  const size_t variants = graph_.variants.size();
  times_.assign(variants, {});
  done_ = 0;
  over_ = variants < 2 || (steps_left > 0 && steps_left <= length(variants));
  if (variants > 0) session_.use_variant(0);
}

void StepTrial::before_step() {
  if (over_) return;
  const auto variants = static_cast<int64_t>(times_.size()), warm = variants * kWarmUp;
  if (done_ == length(times_.size())) {
    session_.use_variant(0);
    const std::vector<double> own = medians();
    if (const auto times = peers_ ? peers_->share_times(own) : own) decide(*times);
    return;
  }
  int64_t variant = done_ / kWarmUp;
  if (done_ >= warm) {
    const int64_t turn = (done_ - warm) / kTurn, place = turn % variants;
    variant = turn / variants % 2 == 0 ? place : variants - 1 - place;
  }
  session_.use_variant(static_cast<size_t>(variant));
}

void StepTrial::after_step(std::optional<double> seconds) {
  if (over_ || done_ == length(times_.size())) return;
  const int64_t counted = done_ - static_cast<int64_t>(times_.size()) * kWarmUp;
  if (seconds && counted >= 0 && counted % kTurn >= kUncounted) times_[session_.variant()].push_back(*seconds);
  ++done_;
}

std::vector<double> StepTrial::medians() const {
  std::vector<double> medians;
  for (std::vector<double> times : times_) {
    const auto middle = times.begin() + static_cast<int64_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    medians.push_back(*middle);
  }
  return medians;
}

void StepTrial::decide(const std::vector<double>& times) {
  const auto fastest = static_cast<size_t>(std::min_element(times.begin(), times.end()) - times.begin());
  std::string rates;
  for (size_t i = 0; i < times.size(); ++i)
    rates += fmt::format("{}{} {:.1f}", i == 0 ? "" : ", ", graph_.variants[i].name,
                         static_cast<double>(std::max<int64_t>(1, samples_)) / times[i]);
  log_info(fmt::format("variable_update=auto: {} is taken; {}: {}", graph_.variants[fastest].name,
                       samples_ > 0 ? "sample/sec" : "steps/sec", rates));
  over_ = true;
  session_.use_variant(fastest);
}

}  // namespace mox
