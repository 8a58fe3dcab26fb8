#include "run/ps_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "base/random.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/server_board.h"
#include "run/signals.h"

namespace mox {
namespace {

constexpr double kAnswer = 1, kFirstReport = 5;  // seconds
constexpr auto kPause = std::chrono::milliseconds(300);
// After a signal: workers that got it, too, have their last checkpoint to save.
constexpr auto kLastSave = std::chrono::seconds(8);
// Workers that gave up waiting for another have a checkpoint to save, from here.
constexpr double kAfterWorkers = 15;
constexpr int kMisses = 3;  // looks without an answer after which a process is gone

class Workers {
 public:
  Workers(const TensorflowServer& server, double session_timeout)
      : server_(server), session_timeout_(session_timeout), misses_(server.cluster().worker_hosts.size()) {}

  // Whether all have ended and are gone.
  bool have_left(const ServerBoard::Notes& notes) {
    const std::vector<TensorflowServer::Sign> signs = server_.ask(kAnswer);
    const int servers = static_cast<int>(server_.cluster().ps_hosts.size());
    std::vector<std::string> missing;
    bool all = true;
    failed_ = false;
    ended_ = true;
    for (size_t i = 0; i < misses_.size(); ++i) {
      const int number = servers + static_cast<int>(i);
      misses_[i] = signs[number].alive ? 0 : misses_[i] + 1;
      const auto note = notes.workers.find(static_cast<int>(i));
      const bool ended = note != notes.workers.end() && note->second.is_over();
      failed_ |= ended && note->second.state == "failed";
      ended_ &= ended;
      all &= ended && misses_[i] >= kMisses;
      if (!ended && misses_[i] >= kMisses)
        missing.push_back(fmt::format("{} is not there ({})", server_.cluster().name(number), signs[number].error));
      else if (signs[number].alive && note == notes.workers.end())
        missing.push_back(
            fmt::format("{} is there, but has not come to this server yet: its --ps_hosts may have another one",
                        server_.cluster().name(number)));
    }
    report(fmt::format("{}", fmt::join(missing, "; ")));
    return all;
  }
  // Whether none has steps or a checkpoint to write any more.
  bool have_ended() const { return ended_; }
  bool one_failed() const { return failed_; }

 private:
  void report(const std::string& missing) {
    const auto now = std::chrono::steady_clock::now();
    if (missing.empty()) {
      since_ = now;
      next_report_ = kFirstReport;
      return;
    }
    const double seconds = std::chrono::duration<double>(now - since_).count();
    if (seconds > session_timeout_ + kAfterWorkers)
      throw RunError(fmt::format("after {:.0f} s (--session_timeout) {}", seconds, missing));
    if (seconds < next_report_) return;
    log_warning(fmt::format("waiting for {:.0f} s: {}", seconds, missing));
    next_report_ = 2 * seconds;
  }

  const TensorflowServer& server_;
  const double session_timeout_;
  std::vector<int> misses_;
  bool failed_ = false, ended_ = false;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  double next_report_ = kFirstReport;
};

}  // namespace

bool serve_variables(const ServerCluster& cluster, const DevicePlan& devices, int64_t intra_threads,
                     int64_t inter_threads, double session_timeout) {
  const SignalGuard signals;
  TensorflowServer& server = TensorflowServer::start(cluster, devices, intra_threads, inter_threads);
  log_info(fmt::format("{} keeps variables for {} workers; it ends when they have", cluster.name(cluster.index),
                       cluster.worker_hosts.size()));
  ServerBoard board(server, {cluster.index});
  std::string why;
  if (!board.open(&why)) throw RunError("TensorFlow's server of this process does not take a session: " + why);
  ProcessNote own = note_of(cluster);
  own.turn = random_number();
  if (!board.write_as_server(own)) throw RunError("TensorFlow's server of this process does not take a note");
  Workers workers(server, session_timeout);
  std::optional<std::chrono::steady_clock::time_point> signalled;
  for (;;) {
    const ServerBoard::Notes notes = board.read().value_or(ServerBoard::Notes());
    if (const auto found = notes.refused.find(own.turn); found != notes.refused.end())
      throw InvalidArgumentError(found->second);
    if (workers.have_left(notes)) break;
    const auto now = std::chrono::steady_clock::now();
    if (SignalGuard::received() != 0 && !signalled) signalled = now;
    if (signalled && (workers.have_ended() || now - *signalled > kLastSave)) {
      log_info("parameter server: ends by a signal");
      return true;
    }
    std::this_thread::sleep_for(kPause);
  }
  log_info(workers.one_failed() ? "parameter server: the workers are gone, one of them had failed"
                                : "parameter server: the workers have left");
  return !workers.one_failed();
}

RunResult run_as_ps(const RunConfig& config) {
  if (config.run_mode != ModeKeys::TRAIN || !config.cluster.has_servers()) {
    log_info("parameter server: this run has no use for it");
    return {};
  }
  bool good = false;
  try {
    good = serve_variables(
        {"ps", static_cast<int>(config.cluster.task_index), config.cluster.ps_hosts, config.cluster.worker_hosts},
        DevicePlan(), config.num_intra_threads, config.num_inter_threads, config.cluster.session_timeout);
  } catch (const std::exception& e) {
    log_error(e.what());
  }
  std::fflush(nullptr);
  ::_exit(good ? 0 : 1);
}

}  // namespace mox
