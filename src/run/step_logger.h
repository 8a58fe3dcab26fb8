// What a run tells while it runs: the log line of the manual, a JSON line, and on a terminal a progress line.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "run/background_log.h"

namespace mox {

using Metrics = std::vector<std::pair<std::string, double>>;

class StepLogger {
 public:
  // `log_dir` may be empty (no JSON lines). `total_steps` 0: unknown.
  StepLogger(const std::string& log_dir, int64_t total_steps);
  ~StepLogger();

  // The first step begins, that number of this run: rates count from here.
  void start(int64_t step) {
    last_log_ = last_draw_ = start_ = Clock::now();
    last_step_ = step - 1;
  }
  // `step: 10(global step: 10)\tsample/sec: 42.087\tloss: 3.451`, the rate since the last call, with that
  // many samples in each step. Returns the rate.
  double log_step(int64_t step, int64_t global_step, int64_t samples_per_step, const Metrics& metrics);
  // Redraws the progress line, at most five times a second; nothing when standard error is no terminal.
  void show_progress(int64_t step);
  void clear_progress();

 private:
  using Clock = std::chrono::steady_clock;

  const int64_t total_steps_;
  const bool terminal_;
  Clock::time_point last_log_, last_draw_, start_;
  int64_t last_step_ = -1;
  bool drawn_ = false;
  std::unique_ptr<BackgroundLog> json_;
};

// "step: 10(global step: 10)\tsample/sec: 42.087\tloss: 3.451"
std::string format_step(int64_t step, int64_t global_step, double samples_per_second, const Metrics& metrics);

}  // namespace mox
