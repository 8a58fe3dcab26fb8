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

// What `note` has other than the chief; "": nothing.
std::string difference_of(const ProcessNote& note, const ProcessNote& chief) {
  for (const auto& [name, value] : chief.agreed)
    for (const auto& [other_name, other_value] : note.agreed)
      if (name == other_name && value != other_value)
        return fmt::format("{} has {} '{}', {} has '{}': all must have what worker 0, the chief, has", note.who, name,
                           other_value, chief.who, value);
  return "";
}

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
        if (signs_[i].incarnation != 0 && signs_[i].incarnation == signs_[k].incarnation)
          throw InvalidArgumentError(fmt::format("{} and {} are one process: look at --ps_hosts and --worker_hosts",
                                                 cluster_.name(static_cast<int>(k)), name));
    }
    if (missing.empty()) return;
    // Who is gone may have said why.
    if (own_.processes != 0 && signs_[0].alive)
      if (const auto notes = board_->read()) check_notes(*notes);
    if (own_.processes == 0 && waited() >= next_report_) check_before_all_are_there();
    check_waiting(&next_report_, fmt::format("{}", fmt::join(missing, "; ")));
  }
}

void ServerRun::refuse_who_differs(const ServerBoard::Notes& notes) {
  std::vector<std::optional<ProcessNote>> others = board_->servers();
  agreed_ = std::all_of(others.begin(), others.end(), [](const auto& note) { return note.has_value(); });
  const size_t servers = others.size();
  for (const auto& [worker, note] : notes.workers)
    if (worker != cluster_.index && note.state == "joining") others.emplace_back(note);
  for (size_t i = 0; i < others.size(); ++i) {
    if (!others[i]) continue;
    const std::string difference = difference_of(*others[i], own_);
    if (difference.empty()) continue;
    if (i < servers) agreed_ = false;
    if (!refused_.try_emplace(others[i]->turn, difference).second) continue;
    log_warning(difference + "; it is refused, and waited for until it has the same");
    told_ = false;
  }
  if (!told_) told_ = board_->write(refused_);
}

// A chief that is lost, or none of this process's lists, says nothing of it; the one that is there refuses it then.
void ServerRun::check_chief(const ServerBoard::Notes& notes) {
  const auto chief = notes.workers.find(0);
  if (chief == notes.workers.end() || chief->second.is_over()) return;
  const bool lives = std::any_of(signs_.begin(), signs_.end(), [&](const auto& sign) {
    return sign.alive && sign.incarnation == chief->second.incarnation;
  });
  const std::string difference = lives ? difference_of(own_, chief->second) : "";
  if (!difference.empty()) refuse_itself(difference);
}

void ServerRun::refuse_itself(const std::string& why) {
  own_.processes = 0;  // nobody waits for what it has to say
  throw InvalidArgumentError(why);
}

void ServerRun::check_notes(const ServerBoard::Notes& notes) {
  if (is_chief()) {
    refuse_who_differs(notes);
  } else {
    if (const auto why = notes.refused.find(own_.turn); why != notes.refused.end()) refuse_itself(why->second);
    check_chief(notes);
  }
  for (const auto& [worker, note] : notes.workers)  // not those of an earlier start
    if (note.processes == own_.processes && note.state == "failed")
      throw RunError(fmt::format("{} failed: {}", note.who, note.why));
}

void ServerRun::check_before_all_are_there() {
  const auto servers_end = signs_.begin() + static_cast<std::ptrdiff_t>(cluster_.ps_hosts.size());
  std::string why;
  if (!std::all_of(signs_.begin(), servers_end, [](const auto& sign) { return sign.alive; }) || !board_->open(&why))
    return;
  own_.turn = random_number();
  own_.incarnation = signs_[cluster_.own_number()].incarnation;
  own_.state = "joining";
  board_->write(cluster_.index, own_);
  if (const auto notes = board_->read()) check_notes(*notes);
}

// The chief's: all workers come to this set of processes, none with a turn that was used.
std::optional<ChiefNote> ServerRun::gather_turns(const ServerBoard::Notes& notes) const {
  if (!agreed_) return std::nullopt;
  ChiefNote group;
  group.processes = own_.processes;
  group.state = "running";
  for (const auto& [name, value] : own_.agreed) group.settings += name + " " + value + "\n";
  for (int worker = 0; worker < workers(); ++worker) {
    const auto found = notes.workers.find(worker);
    if (found == notes.workers.end() || found->second.state != "joining" || found->second.processes != own_.processes)
      return std::nullopt;
    const uint64_t turn = found->second.turn;
    if (refused_.count(turn)) return std::nullopt;
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
    check_notes(*notes);
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
                         found->second.processes == own_.processes && !refused_.count(found->second.turn);
      if (!there) behind.push_back(cluster_.name(static_cast<int>(cluster_.ps_hosts.size()) + worker));
    }
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
