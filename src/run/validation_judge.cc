#include "run/validation_judge.h"

#include <fmt/format.h>

#include <cmath>

#include "run/metric_mode.h"

namespace mox {

ValidationJudge::ValidationJudge(Options options)
    : options_(std::move(options)), sign_(metric_sign(options_.metric, options_.mode)) {}

ValidationJudge::Verdict ValidationJudge::judge(double value, int64_t global_step) {
  Verdict verdict;
  if (std::isfinite(value) && (!best_ || sign_ * value > sign_ * *best_)) {
    best_ = value;
    best_step_ = global_step;
    without_gain_ = on_plateau_ = 0;
    verdict.best = true;
    return verdict;
  }
  ++without_gain_;
  ++on_plateau_;
  verdict.stop = stopped();
  if (!verdict.stop && options_.plateau_patience > 0 && on_plateau_ >= options_.plateau_patience) {
    on_plateau_ = 0;
    ++plateaus_;
    verdict.plateau = true;
  }
  return verdict;
}

bool ValidationJudge::stopped() const { return options_.stop_patience > 0 && without_gain_ >= options_.stop_patience; }

std::string ValidationJudge::text() const {
  std::string text = best_ ? fmt::format("best {}: {:.3f} (step {})", options_.metric, *best_, best_step_)
                           : fmt::format("no {} was a number yet", options_.metric);
  const int64_t patience = options_.stop_patience > 0 ? options_.stop_patience : options_.plateau_patience;
  const int64_t count = options_.stop_patience > 0 ? without_gain_ : on_plateau_;
  if (patience > 0 && without_gain_ > 0) text += fmt::format(", without gain: {} of {}", count, patience);
  return text;
}

// Of the metric and the direction.
double ValidationJudge::id() const {
  uint32_t id = sign_ < 0 ? 1 : 0;
  for (const unsigned char c : options_.metric) id = id * 31 + c;
  return id;
}

std::vector<double> ValidationJudge::state() const {
  return {id(),
          best_ ? 1.0 : 0.0,
          best_.value_or(0),
          static_cast<double>(best_step_),
          static_cast<double>(without_gain_),
          static_cast<double>(on_plateau_),
          static_cast<double>(plateaus_)};
}

void ValidationJudge::restore(const std::vector<double>& state) {
  if (state.size() != kStateSize || state[0] != id()) return;
  best_ = state[1] != 0 ? std::optional(state[2]) : std::nullopt;
  best_step_ = static_cast<int64_t>(state[3]);
  without_gain_ = static_cast<int64_t>(state[4]);
  on_plateau_ = static_cast<int64_t>(state[5]);
  plateaus_ = static_cast<int64_t>(state[6]);
}

}  // namespace mox
