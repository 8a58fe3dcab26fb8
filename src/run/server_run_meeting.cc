// How the workers of a run with parameter servers come together: all there, with the same settings, none twice.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "base/random.h"
#include "cluster/socket.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/server_run.h"
#include "run/signals.h"

namespace mox {

namespace {

constexpr double kAnswer = 1;  // seconds
constexpr auto kPause = std::chrono::milliseconds(200);
constexpr double kFirstReport = 5;

}  // namespace

double ServerRun::waited() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - waiting_since_).count();
}

// Between two looks.
void ServerRun::check_waiting(double* reported, const std::string& for_whom) {
  if (SignalGuard::received() != 0) throw cluster::Interrupted("stopped by a signal while it waited for the others");
  const double seconds = waited();
  if (seconds > config_.cluster.session_timeout)
    throw RunError(fmt::format("after {:.0f} s (--session_timeout) {}", seconds, for_whom));
  if (seconds >= *reported) {
    log_warning(fmt::format("waiting for {:.0f} s: {}", seconds, for_whom));
    *reported = std::max(kFirstReport, 2 * seconds);
  }
  std::this_thread::sleep_for(kPause);
}

void ServerRun::wait_for_processes() {
  for (;;) {
    signs_ = server_->ask(kAnswer);
    std::vector<std::string> missing;
    for (size_t i = 0; i < signs_.size(); ++i) {
      const std::string name = cluster_.name(static_cast<int>(i));
      if (!signs_[i].alive) missing.push_back(fmt::format("{} is not there ({})", name, signs_[i].error));
      for (size_t k = 0; k < i; ++k)
        if (signs_[i].alive && signs_[k].alive && signs_[i].incarnation == signs_[k].incarnation)
          throw InvalidArgumentError(fmt::format("{} and {} are one process: look at --ps_hosts and --worker_hosts",
                                                 cluster_.name(static_cast<int>(k)), name));
    }
    if (missing.empty()) return;
    // Who is gone may have said why.
    if (own_.processes != 0 && signs_[0].alive)
      if (const auto notes = board_->read()) check_agreed(*notes);
    if (waited() >= next_report_) check_living();
    check_waiting(&next_report_, fmt::format("{}", fmt::join(missing, "; ")));
  }
}

void ServerRun::check_settings(const WorkerNote& note) const {
  for (const auto& [name, value] : own_.agreed)
    for (const auto& [other_name, other_value] : note.agreed)
      if (name == other_name && value != other_value)
        throw InvalidArgumentError(fmt::format("{} has {} '{}', {} has '{}': all workers must have the same", own_.who,
                                               name, value, note.who, other_value));
}

void ServerRun::check_agreed(const ServerBoard::Notes& notes) const {
  for (const auto& [worker, note] : notes.workers) {
    if (note.processes != own_.processes) continue;  // of an earlier start, or of other lists of hosts
    if (note.state == "failed") throw RunError(fmt::format("{} failed: {}", note.who, note.why));
    if (note.state == "joining") check_settings(note);
  }
}

void ServerRun::check_living() {
  std::string why;
  if (!signs_[0].alive || (own_.processes == 0 && !board_->open(&why))) return;
  const std::optional<ServerBoard::Notes> notes = board_->read();
  if (!notes) return;
  for (const auto& [worker, note] : notes->workers) {
    const bool lives = std::any_of(signs_.begin(), signs_.end(), [&, incarnation = note.incarnation](const auto& sign) {
      return sign.alive && sign.incarnation == incarnation;
    });
    if (lives && !note.is_over()) check_settings(note);
  }
}

// The chief's: all workers come to this set of processes, none with a turn that was used.
std::optional<ChiefNote> ServerRun::gather_turns(const ServerBoard::Notes& notes) const {
  ChiefNote group;
  group.processes = own_.processes;
  group.state = "running";
  for (const auto& [name, value] : own_.agreed) group.settings += name + " " + value + "\n";
  for (int worker = 0; worker < workers(); ++worker) {
    const auto found = notes.workers.find(worker);
    if (found == notes.workers.end() || found->second.state != "joining" || found->second.processes != own_.processes)
      return std::nullopt;
    const uint64_t turn = found->second.turn;
    if (notes.chief && static_cast<size_t>(worker) < notes.chief->turns.size() && notes.chief->turns[worker] == turn)
      return std::nullopt;
    group.turns.push_back(turn);
  }
  return group;
}

// False: the processes are not those any more.
bool ServerRun::come_together() {
  own_.turn = random_number();
  own_.processes = processes_hash(signs_);
  own_.incarnation = signs_[cluster_.own_number()].incarnation;
  own_.state = "joining";
  own_.wish.clear();
  std::string why;
  if (!board_->open(&why)) {
    check_waiting(&next_report_, "the parameter servers do not take a session: " + why);
    return false;
  }
  if (!board_->write(cluster_.index, own_)) return false;
  for (int written = 1;;) {
    const std::optional<ServerBoard::Notes> notes = board_->read();
    if (!notes) return false;
    const auto own = notes->workers.find(cluster_.index);
    if (own != notes->workers.end() && own->second.turn != own_.turn) {
      constexpr int kTries = 5;  // a slow server may take late what an earlier process of this task had sent
      if (++written > kTries)
        throw InvalidArgumentError(
            fmt::format("{} and {} are both worker {}: give each process a --task_index of its own", own_.who,
                        own->second.who, cluster_.index));
      if (!board_->write(cluster_.index, own_)) return false;
    }
    check_agreed(*notes);
    if (is_chief()) {
      if (const auto group = gather_turns(*notes)) {
        group_ = *group;
        keeps_state_ = notes->chief && notes->chief->state == "running" && notes->chief->settings == group_.settings;
        return true;
      }
    } else if (notes->chief && notes->chief->state == "running" && notes->chief->processes == own_.processes &&
               notes->chief->turns.at(cluster_.index) == own_.turn) {
      group_ = *notes->chief;
      return true;
    }
    std::vector<std::string> behind;
    for (int worker = 0; worker < workers(); ++worker) {
      const auto found = notes->workers.find(worker);
      const bool there = found != notes->workers.end() && found->second.state == "joining" &&
                         found->second.processes == own_.processes;
      if (!there) behind.push_back(cluster_.name(static_cast<int>(cluster_.ps_hosts.size()) + worker));
    }
    if (waited() >= next_report_) check_living();
    check_waiting(&next_report_, behind.empty() ? "the chief restores or initialises the variables"
                                                : fmt::format("{} answers, but does not come to the others yet",
                                                              fmt::join(behind, ", ")));
    const std::vector<TensorflowServer::Sign> now = server_->ask(kAnswer);
    if (std::any_of(now.begin(), now.end(), [](const auto& sign) { return !sign.alive; }) ||
        processes_hash(now) != own_.processes)
      return false;
  }
}

void ServerRun::meet() {
  waiting_since_ = std::chrono::steady_clock::now();
  next_report_ = kFirstReport;
  do {
    wait_for_processes();
  } while (!come_together());
  set_generation(&graph_->graph, group_.generation());
}

}  // namespace mox
