#include "run/server_watch.h"

#include <fmt/format.h>

#include <chrono>

namespace mox {

namespace {

constexpr auto kPause = std::chrono::milliseconds(500);
constexpr double kAnswer = 1;  // seconds
// Looks without an answer after which a process is lost: 1.5 s where its port is closed, 4.5 s where nothing answers.
constexpr int kMisses = 3;
// Looks after which a worker that has ended ends the step: what it has sent for that step has arrived.
constexpr int kPatience = 3;

}  // namespace

ServerWatch::ServerWatch(const TensorflowServer& server, ServerBoard& board, bool sync,
                         std::function<void(const ServerTrouble&)> on_trouble)
    : server_(server),
      board_(board),
      sync_(sync),
      on_trouble_(std::move(on_trouble)),
      thread_("mox_servers", [this](const auto& stop) { watch(stop); }) {}

void ServerWatch::begin(const std::vector<TensorflowServer::Sign>& signs, const ChiefNote& group,
                        const ProcessNote& own) {
  const MutexLock lock(mutex_);
  members_.clear();
  for (const auto& sign : signs) members_.push_back(sign.incarnation);
  group_ = group;
  own_ = own;
  misses_.assign(signs.size(), 0);
  ended_.assign(group.turns.size(), 0);
  trouble_.reset();
  wish_.clear();
  ending_ = false;
  active_ = true;
}

void ServerWatch::pause() {
  MutexLock lock(mutex_);
  active_ = false;
  changed_.wait(lock, [this]() MOX_REQUIRES(mutex_) { return !looking_; });
}

bool ServerWatch::is_watching() const {
  const MutexLock lock(mutex_);
  return active_;
}

std::optional<ServerTrouble> ServerWatch::trouble() const {
  const MutexLock lock(mutex_);
  return trouble_;
}

std::optional<ServerTrouble> ServerWatch::wait_for_trouble(double seconds) const {
  MutexLock lock(mutex_);
  changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                    [this]() MOX_REQUIRES(mutex_) { return trouble_.has_value() || !active_; });
  return trouble_;
}

std::string ServerWatch::wish() const {
  const MutexLock lock(mutex_);
  return wish_;
}

void ServerWatch::set_wish(const std::string& wish) {
  ProcessNote note;
  {
    const MutexLock lock(mutex_);
    if (own_.wish == wish) return;
    own_.wish = wish;
    note = own_;
  }
  board_.write(server_.cluster().index, note);
}

void ServerWatch::let_others_end() {
  const MutexLock lock(mutex_);
  ending_ = true;
  if (trouble_ && trouble_->kind == ServerTrouble::kEnded) trouble_.reset();
}

bool ServerWatch::others_ended() const {
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < ended_.size(); ++i)
    if (static_cast<int>(i) != server_.cluster().index && ended_[i] == 0) return false;
  return true;
}

void ServerWatch::watch(const std::stop_token& stop) {
  while (sleep_unless_stopped(stop, kPause)) {
    {
      const MutexLock lock(mutex_);
      if (!active_ || trouble_) continue;
      looking_ = true;
    }
    look();
    const MutexLock lock(mutex_);
    looking_ = false;
    changed_.notify_all();
  }
}

void ServerWatch::look() {
  const std::vector<TensorflowServer::Sign> signs = server_.ask(kAnswer);
  // First what they say: who has ended is not lost.
  if (signs[0].alive)
    if (const std::optional<ServerBoard::Notes> notes = board_.read()) look_at_notes(*notes);
  look_at_processes(signs);
}

bool ServerWatch::has_ended(int number) const {
  const int worker = number - static_cast<int>(server_.cluster().ps_hosts.size());
  return worker >= 0 && ended_[worker] > 0;
}

void ServerWatch::look_at_processes(const std::vector<TensorflowServer::Sign>& signs) {
  std::string lost;
  {
    const MutexLock lock(mutex_);
    for (size_t i = 0; i < signs.size() && lost.empty(); ++i) {
      const int number = static_cast<int>(i);
      if (has_ended(number)) continue;
      misses_[i] = signs[i].alive ? 0 : misses_[i] + 1;
      const std::string name = server_.cluster().name(number);
      if (signs[i].alive && signs[i].incarnation != members_[i])
        lost = fmt::format("{} was started again", name);
      else if (misses_[i] >= kMisses)
        lost = fmt::format("{} is lost: {}", name, signs[i].error);
    }
  }
  if (!lost.empty()) note_trouble(ServerTrouble::kLost, lost);
}

void ServerWatch::look_at_notes(const ServerBoard::Notes& notes) {
  ServerTrouble found;
  {
    const MutexLock lock(mutex_);
    const int own = server_.cluster().index;
    for (const auto& [worker, note] : notes.workers) {
      if (worker == own || worker >= static_cast<int>(ended_.size())) continue;
      if (!note.wish.empty() && wish_.empty()) wish_ = note.wish;
      if (note.turn != group_.turns[worker]) {
        if (note.state == "joining") found = {ServerTrouble::kLost, note.who + " comes anew"};
      } else if (note.state == "failed") {
        found = {ServerTrouble::kFailed, note.who + " failed: " + note.why};
      } else if (note.state == "ended" && ++ended_[worker] >= kPatience && sync_ && !ending_) {
        found = {ServerTrouble::kEnded, note.who + " has no more steps"};
      }
    }
    if (const auto& chief = notes.chief; own != 0 && chief && chief->turns == group_.turns) {
      if (chief->state == "interrupted") found = {ServerTrouble::kInterrupted, "the chief ended the run"};
    }
  }
  if (!found.text.empty()) note_trouble(found.kind, found.text);
}

void ServerWatch::note_trouble(ServerTrouble::Kind kind, const std::string& text) {
  {
    const MutexLock lock(mutex_);
    if (!active_ || trouble_) return;
    trouble_ = {kind, text};
    changed_.notify_all();
  }
  on_trouble_({kind, text});
}

}  // namespace mox
