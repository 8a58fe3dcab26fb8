#include "run/step_logger.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/file.h"
#include "moxing/log.h"

namespace mox {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

void append_lines(const std::string& path, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  file::append(path, text);
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

std::string format_step(int64_t step, int64_t global_step, double samples_per_second, const Metrics& metrics) {
  std::string line =
      fmt::format("step: {}(global step: {})\tsample/sec: {:.3f}", step, global_step, samples_per_second);
  for (const auto& [name, value] : metrics) line += fmt::format("\t{}: {:.3f}", name, value);
  return line;
}

StepLogger::StepLogger(const std::string& log_dir, int64_t total_steps)
    : total_steps_(total_steps), terminal_(isatty(STDERR_FILENO)) {
  start(0);
  if (log_dir.empty()) return;
  const std::string path = log_dir + "/log.jsonl";
  json_ = std::make_unique<BackgroundLog>("lines of " + path, pause_between_writes(log_dir),
                                          [path](const auto& lines) { append_lines(path, lines); });
}

StepLogger::~StepLogger() { clear_progress(); }

double StepLogger::log_step(int64_t step, int64_t global_step, int64_t samples_per_step, const Metrics& metrics) {
  const Clock::time_point time = Clock::now();
  const double rate = (step - last_step_) * samples_per_step / std::max(1e-9, seconds_between(last_log_, time));
  last_log_ = time;
  last_step_ = step;
  clear_progress();
  log_info(format_step(step, global_step, rate, metrics));
  if (json_) {
    nlohmann::ordered_json line = {{"time", now()}, {"step", step}, {"global_step", global_step}, {"sample/sec", rate}};
    for (const auto& [name, value] : metrics) line[name] = value;
    json_->add(json_text(line) + "\n");
    json_->flush();
  }
  return rate;
}

void StepLogger::show_progress(int64_t step) {
  if (!terminal_) return;
  const Clock::time_point time = Clock::now();
  if (seconds_between(last_draw_, time) < 0.2) return;
  last_draw_ = time;
  const double elapsed = seconds_between(start_, time);
  const double rate = (step + 1) / std::max(1e-9, elapsed);
  std::string line = fmt::format("{:.1f} steps/s", rate);
  if (total_steps_ > 0) {
    constexpr int kWidth = 30;
    const int filled = static_cast<int>(kWidth * (step + 1) / total_steps_);
    line = fmt::format("[{:=<{}}{: <{}}] {}/{}  {}  {:.0f} s left", "", filled, "", kWidth - filled, step + 1,
                       total_steps_, line, (total_steps_ - step - 1) / rate);
  }
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void StepLogger::clear_progress() {
  if (!drawn_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace mox
