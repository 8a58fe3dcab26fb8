// What a run tells while it runs: the log line of the manual, a JSON line, and on a terminal a progress line.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "run/background_log.h"
#include "run/epoch_clock.h"
#include "run/progress_line.h"

namespace mox {

using Metrics = std::vector<std::pair<std::string, double>>;

class StepLogger {
 public:
  struct Options {
    std::string log_dir = "";      // may be empty: no JSON lines
    int64_t total_steps = 0;       // of this run; 0: unknown
    bool short_lines = false;      // log_format=short
    EpochClock clock{0, 0};        // of the global step
    int64_t samples_per_step = 0;  // over all workers, for the progress line; 0: unknown
  };
  explicit StepLogger(const Options& options);
  ~StepLogger();

  // The first step begins: rates count from here.
  void start();
  struct Line {
    int64_t step = 0, global_step = 0, samples_per_step = 0;
    int64_t steps = 1;  // since the last call; a step that was lost and done again counts twice
    std::optional<double> learning_rate = {};
  };
  // `step: 10(global step: 10)\tsample/sec: 42.087\tloss: 3.451`, or with short lines `step: 10\tepoch: 0.31\t…`; the
  // rate since the last call. Returns the rate.
  double log_step(const Line& line, const Metrics& metrics);
  // Another line, with what log.jsonl gets of it.
  void log_line(const std::string& line, int64_t global_step, const Metrics& fields);
  // Redraws the progress line, at most five times a second; nothing when standard error is no terminal. `metrics`: of
  // this step, nullptr where none were computed.
  void show_progress(int64_t step, int64_t global_step, const Metrics* metrics);
  // In its place: what is done between steps.
  void show_note(const std::string& note);
  void clear_progress() { progress_.clear(); }
  // So many seconds until now were none of the steps'.
  void leave_out(double seconds);

 private:
  using Clock = std::chrono::steady_clock;

  void add_json(int64_t global_step, std::optional<int64_t> step, const Metrics& fields);

  const Options options_;
  ProgressLine progress_;
  Clock::time_point last_log_;
  std::optional<double> learning_rate_;  // of the last line
  std::unique_ptr<BackgroundLog> json_;
};

// "step: 10(global step: 10)\tsample/sec: 42.087\tloss: 3.451"
std::string format_step(int64_t step, int64_t global_step, double samples_per_second, const Metrics& metrics);

}  // namespace mox
