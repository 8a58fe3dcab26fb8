#include "run/progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mox {
namespace {

constexpr double kDecay = 0.9;
constexpr double kPause = 0.2;    // seconds between two drawings
constexpr size_t kMostShown = 3;  // metrics
constexpr int kWidth = 20;        // of the bar

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

// Columns; a longer line would not be overwritten.
size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 120;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 1e15)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole / 60 % 60);
}

void ProgressLine::start() { last_draw_ = start_ = Clock::now(); }

void ProgressLine::leave_out(double seconds) {
  start_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void ProgressLine::smooth(const std::vector<std::pair<std::string, double>>& metrics) {
  for (const auto& [name, value] : metrics) {
    const auto same = [&name = name](const Smoothed& s) { return s.name == name; };
    auto found = std::find_if(smoothed_.begin(), smoothed_.end(), same);
    if (found == smoothed_.end()) found = smoothed_.insert(smoothed_.end(), Smoothed{name});
    if (!std::isfinite(value)) continue;
    found->sum = kDecay * found->sum + (1 - kDecay) * value;
    found->weight = kDecay * found->weight + (1 - kDecay);
  }
}

bool ProgressLine::is_time() {
  if (!terminal_) return false;
  const Clock::time_point now = Clock::now();
  if (seconds_between(last_draw_, now) < kPause) return false;
  last_draw_ = now;
  return true;
}

std::string ProgressLine::text(const State& state, double seconds) const {
  const double rate = static_cast<double>(state.done) / std::max(1e-9, seconds);
  std::string line;
  if (total_ > 0) {
    const int filled = static_cast<int>(kWidth * std::min(state.done, total_) / total_);
    line = fmt::format("[{:=<{}}{: <{}}] {}/{}", "", filled, "", kWidth - filled, state.done, total_);
  } else {
    line = fmt::format("{} steps", state.done);
  }
  if (state.epochs) line += fmt::format("  epoch {:.2f}", *state.epochs);
  if (state.learning_rate) line += fmt::format("  lr {:.3g}", *state.learning_rate);
  for (size_t i = 0; i < std::min(kMostShown, smoothed_.size()); ++i)
    if (smoothed_[i].weight > 0)
      line += fmt::format("  {} {:.3f}", smoothed_[i].name, smoothed_[i].sum / smoothed_[i].weight);
  line += state.samples_per_step > 0
              ? fmt::format("  {:.0f} samples/s", rate * static_cast<double>(state.samples_per_step))
              : fmt::format("  {:.1f} steps/s", rate);
  if (total_ > 0 && rate > 0)
    line +=
        fmt::format("  {} left", duration_text(static_cast<double>(std::max<int64_t>(0, total_ - state.done)) / rate));
  return line;
}

void ProgressLine::show(const State& state) {
  if (is_time()) draw(text(state, seconds_between(start_, last_draw_)));
}

void ProgressLine::note(const std::string& text) {
  if (is_time()) draw(text);
}

void ProgressLine::draw(std::string line) {
  line.resize(std::min(line.size(), terminal_width() - 1));
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::clear() {
  if (!drawn_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace mox
