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

StepLogger::StepLogger(const Options& options)
    : options_(options), progress_(options.total_steps, isatty(STDERR_FILENO)) {
  start();
  if (options_.log_dir.empty()) return;
  const std::string path = options_.log_dir + "/log.jsonl";
  json_ = std::make_unique<BackgroundLog>("lines of " + path, pause_between_writes(options_.log_dir),
                                          [path](const auto& lines) { append_lines(path, lines); });
}

StepLogger::~StepLogger() { clear_progress(); }

void StepLogger::start() {
  last_log_ = Clock::now();
  progress_.start();
}

void StepLogger::leave_out(double seconds) {
  last_log_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  progress_.leave_out(seconds);
}

void StepLogger::add_json(int64_t global_step, std::optional<int64_t> step, const Metrics& fields) {
  if (!json_) return;
  nlohmann::ordered_json line = {{"time", now()}};
  if (step) line["step"] = *step;
  line["global_step"] = global_step;
  for (const auto& [name, value] : fields) line[name] = value;
  json_->add(json_text(line) + "\n");
  json_->flush();
}

double StepLogger::log_step(const Line& line, const Metrics& metrics) {
  const Clock::time_point time = Clock::now();
  const double rate =
      static_cast<double>(line.steps * line.samples_per_step) / std::max(1e-9, seconds_between(last_log_, time));
  last_log_ = time;
  learning_rate_ = line.learning_rate;
  clear_progress();
  Metrics fields = {{"sample/sec", rate}};
  if (options_.short_lines) {
    std::string text = fmt::format("step: {}", line.global_step);
    if (options_.clock.knows()) {
      fields.emplace_back("epoch", options_.clock.epochs(line.global_step));
      text += fmt::format("\tepoch: {:.2f}", fields.back().second);
    }
    text += fmt::format("\tsample/sec: {:.1f}", rate);
    if (line.learning_rate) {
      fields.emplace_back("learning_rate", *line.learning_rate);
      text += fmt::format("\tlr: {:.4g}", *line.learning_rate);
    }
    for (const auto& [name, value] : metrics) text += fmt::format("\t{}: {:.3f}", name, value);
    log_info(text);
  } else {
    log_info(format_step(line.step, line.global_step, rate, metrics));
  }
  fields.insert(fields.end(), metrics.begin(), metrics.end());
  add_json(line.global_step, line.step, fields);
  return rate;
}

void StepLogger::log_line(const std::string& line, int64_t global_step, const Metrics& fields) {
  clear_progress();
  log_info(line);
  add_json(global_step, std::nullopt, fields);
}

void StepLogger::show_progress(int64_t step, int64_t global_step, const Metrics* metrics) {
  if (metrics) progress_.smooth(*metrics);
  ProgressLine::State state;
  state.done = step + 1;
  if (options_.clock.knows()) state.epochs = options_.clock.epochs(global_step + 1);
  state.learning_rate = learning_rate_;
  state.samples_per_step = options_.samples_per_step;
  progress_.show(state);
}

void StepLogger::show_note(const std::string& note) { progress_.note(note); }

}  // namespace mox
