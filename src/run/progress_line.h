// The line of a terminal that tells how far a run is, redrawn in its place.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"

namespace mox {

class MOX_EXPORT ProgressLine {
 public:
  // `terminal`: false shows nothing. `total` 0: the number of steps is not known.
  ProgressLine(int64_t total, bool terminal) : total_(total), terminal_(terminal) { start(); }

  void start();
  void leave_out(double seconds);
  struct State {
    int64_t done = 0;  // steps
    std::optional<double> epochs = {}, learning_rate = {};
    int64_t samples_per_step = 0;  // 0: steps a second are shown
  };
  // At most five times a second.
  void show(const State& state);
  void note(const std::string& text);
  void clear();
  // Smoothed: the mean over the last ten or so, as the moving averages of Kingma and Ba, "Adam" (2014), are corrected.
  void smooth(const std::vector<std::pair<std::string, double>>& metrics);

  // What show() draws, after so many seconds: "[====      ] 40/100  epoch 0.8  lr 0.01  loss 0.412  320 samples/s  1
  // min 5 s left".
  std::string text(const State& state, double seconds) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Smoothed {
    std::string name;
    double sum = 0, weight = 0;
  };

  bool is_time();
  void draw(std::string line);

  const int64_t total_;
  const bool terminal_;
  Clock::time_point last_draw_, start_;
  std::vector<Smoothed> smoothed_;
  bool drawn_ = false;
};

// "45 s", "3 min 05 s", "2 h 07 min".
MOX_EXPORT std::string duration_text(double seconds);

}  // namespace mox
