// How a worker of a run with parameter servers ends: nobody leaves while another may need it once more.
#include <thread>

#include "run/server_run.h"
#include "run/signals.h"

namespace mox {

namespace {

constexpr auto kPause = std::chrono::milliseconds(200);
constexpr double kFirstReport = 5;  // seconds

}  // namespace

// That others have no more steps breaks nothing off from now on.
void ServerRun::let_others_end() {
  const auto trouble = watch_->trouble();
  if (trouble && trouble->kind == ServerTrouble::kEnded) breaker_->clear();
  watch_->let_others_end();
}

bool ServerRun::before_end(StepNumber* number) {
  if (stops_early()) {  // the others' steps would wait until the last checkpoint is saved
    if (!is_chief()) return true;
    group_.state = "interrupted";
    board_->write(group_);
    return true;
  }
  const auto trouble = watch_->trouble();
  if (trouble && trouble->kind == ServerTrouble::kInterrupted) return true;
  let_others_end();
  return is_chief() ? wait_for_others(number) : wait_for_end_of_chief(number);
}

// The chief: with sync until all have begun (one that has no step to do would be gone before they see it), without
// until they have done their steps, too.
bool ServerRun::wait_for_others(StepNumber* number) {
  double report = kFirstReport;
  waiting_since_ = std::chrono::steady_clock::now();
  while (is_sync() ? !others_have_begun() : !watch_->others_ended()) {
    if (watch_->trouble()) return !recover(number);
    check_waiting(&report, is_sync() ? "the other workers have not begun yet"
                                     : "the other workers have not done their last steps yet");
  }
  if (!is_sync()) number->global = session_->global_step();
  return true;
}

bool ServerRun::wait_for_end_of_chief(StepNumber* number) {
  own_.state = "ended";
  board_->write(cluster_.index, own_);
  while (SignalGuard::received() == 0) {
    if (const auto trouble = watch_->trouble()) return trouble->kind == ServerTrouble::kInterrupted || !recover(number);
    if (const auto notes = board_->read()) {
      const auto chief = notes->workers.find(0);
      if (notes->chief && notes->chief->turns == group_.turns && notes->chief->state != "running") break;
      if (chief != notes->workers.end() && chief->second.turn == group_.turns[0] && chief->second.is_over()) break;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

void ServerRun::finish(int64_t) {
  if (!is_chief() || group_.turns.empty()) return;
  group_.state = "ended";
  board_->write(group_);
}

void ServerRun::ask_to_stop(Ending::How how) {
  asked_ = how;
  if (!is_chief()) watch_->set_wish(how == Ending::kInterrupted ? "interrupted" : "finished");
}

// The chief ends when anybody wishes it, before its next step; the others' steps are then broken off.
std::optional<Ending::How> ServerRun::agreed_end() const {
  const std::string wish = watch_->wish();
  if (is_chief()) {
    if (asked_) return asked_;
    if (!wish.empty()) return wish == "interrupted" ? Ending::kInterrupted : Ending::kFinished;
    return std::nullopt;
  }
  if (!is_sync() && asked_) return asked_;
  const auto trouble = watch_->trouble();
  if (trouble && trouble->kind == ServerTrouble::kInterrupted) return Ending::kInterrupted;
  return std::nullopt;
}

bool ServerRun::stops_early() const { return asked_ == Ending::kInterrupted || watch_->wish() == "interrupted"; }

void ServerRun::leave(const std::string& error) {
  if (left_ || !watch_) return;
  left_ = true;
  const bool interrupted = stops_early();
  watch_->pause();
  if (own_.processes == 0) return;  // nobody knows of it
  own_.state = error.empty() ? "ended" : "failed";
  own_.why = error;
  own_.wish = interrupted && !is_chief() ? "interrupted" : "";
  board_->write(cluster_.index, own_);
  if (!is_chief() || group_.turns.empty()) return;
  group_.state = interrupted ? "interrupted" : "ended";
  board_->write(group_);
}

}  // namespace mox
