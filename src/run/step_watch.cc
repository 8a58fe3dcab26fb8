#include "run/step_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/process_usage.h"
#include "input/describe_input.h"
#include "moxing/log.h"
#include "run/signals.h"

namespace mox {
namespace {

constexpr double kPatience = 2;  // seconds that a run may go on after a signal, or twice the longest if that is more
constexpr double kPatienceWithPeers = 6;
constexpr auto kLastPatience = std::chrono::seconds(1);  // that a broken-off session may take to return
constexpr auto kLook = std::chrono::milliseconds(100);
constexpr double kIdle = 0.2;  // of one core: less is waiting, not computing

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
double seconds(int64_t nanoseconds) { return nanoseconds * 1e-9; }

// Whether a thread but this one computes, or would if other processes left it a core. Linux: proc(5), the state in
// /proc/PID/task/TID/stat stands behind the name, which may hold anything.
bool wants_a_core() {
  std::error_code gone;  // threads end while they are looked at
  const std::string own = std::to_string(gettid());
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    if (task.path().filename() == own) continue;
    std::ifstream file(task.path() / "stat");
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(')');
    if (name_end != std::string::npos && line.compare(name_end + 1, 2, " R") == 0) return true;
  }
  return false;
}

// Not through the log: whoever stalls may hold what it needs.
[[noreturn]] void end_process(int signal) {
  std::fputs(
      "WARNING: the step under way does not end (an input that stalls): the process ends, the last checkpoint stays\n",
      stderr);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  std::_Exit(128 + signal);
}

}  // namespace

StepWatch::Running::Running(StepWatch& watch) : watch_(watch), start_(now()) { watch_.running_since_ = start_; }

StepWatch::Running::~Running() {
  watch_.running_since_ = 0;
  watch_.longest_ = std::max<double>(watch_.longest_, seconds(now() - start_));
}

StepWatch::StepWatch(const BuiltGraph& graph, EngineSession& session, double stall_seconds, const StepPeers* peers)
    : graph_(graph),
      session_(session),
      stall_seconds_(stall_seconds),
      peers_(peers),
      thread_("mox_watch", [this](const auto& stop) { watch(stop); }) {}

void StepWatch::stop() { thread_.stop(); }

void StepWatch::watch(const std::stop_token& stop) {
  while (!broke_off_ && sleep_unless_stopped(stop, kLook)) {
    look_for_stall();
    look_for_signal(stop);
  }
}

void StepWatch::look_for_signal(const std::stop_token& stop) {
  if (!SignalGuard::received() || !running_since_) {
    signal_since_ = 0;
    return;
  }
  if (signal_since_ == 0) signal_since_ = now();
  // Another process that is gone breaks the step off by itself.
  if (seconds(now() - signal_since_) < std::max(peers_ ? kPatienceWithPeers : kPatience, 2 * longest_)) return;
  broke_off_ = true;
  session_.abort();
  if (sleep_unless_stopped(stop, kLastPatience)) end_process(SignalGuard::received());
}

void StepWatch::report_stall(double waited) const {
  const std::optional<std::string> others = peers_ ? peers_->waits_for() : std::nullopt;
  if (!others)
    log_warning(
        fmt::format("the input stalls: a step has waited {:.0f} s for {}", waited, describe_input(graph_.graph)));
  else if (!others->empty())
    log_warning(fmt::format("a step has waited {:.0f} s: {}", waited, *others));
}

// The time in which the process computed nothing, nor waited for a core, is counted: a long step on a slow or busy
// machine is no stall.
void StepWatch::look_for_stall() {
  const int64_t run = running_since_, time = now();
  const double cpu = cpu_seconds();
  if (run == 0 || run != stalled_run_ || patient_) {
    stalled_run_ = run;
    idle_seconds_ = 0;
  } else if (stall_seconds_ > 0) {
    const double passed = seconds(time - last_look_);
    const double before = idle_seconds_;
    if (cpu - cpu_at_last_look_ < kIdle * passed && !wants_a_core()) idle_seconds_ += passed;
    if (static_cast<int64_t>(idle_seconds_ / stall_seconds_) > static_cast<int64_t>(before / stall_seconds_))
      report_stall(seconds(time - run));
  }
  last_look_ = time;
  cpu_at_last_look_ = cpu;
}

}  // namespace mox
