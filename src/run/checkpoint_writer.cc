#include "run/checkpoint_writer.h"

#include <algorithm>

#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {

using std::chrono::steady_clock;

namespace {

constexpr auto kRetryPause = std::chrono::seconds(20);

}  // namespace

CheckpointWriter::CheckpointWriter(std::string dir, int keep, BestCheckpoint best, FiniteWeights weights,
                                   const LoadedCheckpoint& start)
    : dir_(std::move(dir)),
      keep_(keep),
      weights_(std::move(weights)),
      resumed_from_(start.resumed ? start.prefix : ""),
      best_(std::move(best)) {
  try {
    state_ = read_checkpoint_state(dir_);
  } catch (const DataError&) {  // told when it was looked for: begins anew
  }
  // What the loader could not use goes before what is good, and is not the best.
  const auto is_rejected = [&](const std::string& prefix) {
    return std::find(start.rejected.begin(), start.rejected.end(), prefix) != start.rejected.end();
  };
  std::stable_partition(state_.all.begin(), state_.all.end(), is_rejected);
  if (is_rejected(best_.prefix())) best_.forget_value();
  CheckpointsElsewhere elsewhere(false);
  std::erase_if(state_.all, [&](const std::string& prefix) {
    return !(is_own_checkpoint(dir_, prefix) ? checkpoint_exists(prefix) : elsewhere.has(prefix));
  });
  state_.latest = resumed_from_;
  thread_ = WorkerThread("mox_save", [this](const auto& stop) { work(stop); });
}

void CheckpointWriter::save(int64_t step, NamedValues values, std::optional<double> metric, bool again) {
  MutexLock lock(mu_);
  changed_.wait(lock, [this]() MOX_REQUIRES(mu_) { return !pending_; });
  values_ = {step, std::move(values), metric, again};
  pending_ = true;
  changed_.notify_all();
}

bool CheckpointWriter::wants_again() {
  MutexLock lock(mu_);
  return !pending_ && failed_at_ && steady_clock::now() - *failed_at_ >= kRetryPause;
}

bool CheckpointWriter::is_best(const std::optional<double>& metric) {
  wait();
  return best_.is_better(metric);
}

void CheckpointWriter::wait() {
  MutexLock lock(mu_);
  changed_.wait(lock, [this]() MOX_REQUIRES(mu_) { return !pending_; });
}

std::string CheckpointWriter::last_saved() {
  MutexLock lock(mu_);
  return last_saved_;
}

std::string CheckpointWriter::last_error() {
  MutexLock lock(mu_);
  return last_error_;
}

std::string CheckpointWriter::last_good() {
  MutexLock lock(mu_);
  return last_saved_.empty() ? resumed_from_ : last_saved_;
}

std::string CheckpointWriter::poison() {
  MutexLock lock(mu_);
  return poison_;
}

void CheckpointWriter::work(const std::stop_token& stop) {
  MutexLock lock(mu_);
  for (;;) {
    changed_.wait(lock, stop, [this]() MOX_REQUIRES(mu_) { return pending_; });
    if (!pending_) return;  // asked to stop
    Values values = std::move(values_);
    lock.unlock();
    const std::string problem = weights_.problem(values.tensors);
    const std::string error = problem.empty() ? try_to_write(&values) : problem;
    const int64_t step = values.step;
    values = Values();
    lock.lock();
    last_error_ = error;
    failed_at_.reset();
    if (!problem.empty())
      poison_ = problem + " after step " + std::to_string(step);
    else if (error.empty())
      last_saved_ = state_.latest;
    else
      failed_at_ = steady_clock::now();
    pending_ = false;
    changed_.notify_all();
  }
}

std::string CheckpointWriter::try_to_write(Values* values) {
  const std::string name = "checkpoint of step " + std::to_string(values->step);
  try {
    write(values);
    if (values->again) log_info(name + " is saved now");
    return "";
  } catch (const std::exception& e) {
    if (!values->again)
      log_error(name + " was not saved: " + e.what() +
                (state_.latest.empty() ? "" : "; the last good one is " + state_.latest) + "; saving is tried again");
    return e.what();
  }
}

void CheckpointWriter::write(Values* values) {
  const std::string prefix = checkpoint_prefix(dir_, values->step);
  announce(prefix);
  try {
    write_checkpoint(prefix, std::move(values->tensors));
  } catch (const Error&) {
    if (has_atomic_move(dir_)) remove_temporary_checkpoints(dir_);  // a full disk must not stay full because of us
    throw;
  }
  CheckpointState next = with(prefix);
  if (best_.is_better(values->metric)) {
    next.removing.push_back(best_.prefix());
    best_.set(prefix, values->step, *values->metric);
  }
  name_and_remove(std::move(next));
}

// Names what is about to appear, so that a run after a kill knows it. Before the first checkpoint there is no file yet,
// and its readers need one that names something.
void CheckpointWriter::announce(const std::string& prefix) {
  if (state_.latest.empty()) return;
  const bool replaces = prefix != state_.latest && checkpoint_exists(prefix);  // of a way that training has left
  if (replaces) std::erase(state_.all, prefix);
  CheckpointState now = state_;
  now.saving = prefix;
  if (!best_.prefix().empty()) now.removing.push_back(best_.prefix());  // unless it still is the best
  // Its old files would count as the new ones, whole, before these are.
  if (replaces) remove_checkpoint(prefix);
  write_checkpoint_state(dir_, now);
}

// The state with the new checkpoint, without those that are too old.
CheckpointState CheckpointWriter::with(const std::string& prefix) const {
  CheckpointState next;
  next.latest = prefix;
  next.all = state_.all;
  std::erase(next.all, prefix);
  next.all.push_back(prefix);
  while (keep_ > 0 && next.all.size() > static_cast<size_t>(keep_)) {
    next.removing.push_back(next.all.front());
    next.all.erase(next.all.begin());
  }
  return next;
}

// First name the new one, then remove old ones: the file never names what is not there, and a run after a kill goes on
// with the removal.
void CheckpointWriter::name_and_remove(CheckpointState next) {
  std::erase_if(next.removing, [&](const std::string& prefix) {
    return !is_own_checkpoint(dir_, prefix) || prefix == best_.prefix() ||
           std::find(next.all.begin(), next.all.end(), prefix) != next.all.end();
  });
  const std::vector<std::string> old = next.removing;
  write_checkpoint_state(dir_, next);
  next.removing.clear();
  state_ = std::move(next);
  if (old.empty()) return;
  for (const std::string& prefix : old) remove_checkpoint(prefix);
  write_checkpoint_state(dir_, state_);
}

}  // namespace mox
