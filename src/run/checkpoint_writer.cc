#include "run/checkpoint_writer.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr auto kRetryPause = std::chrono::seconds(20);

}  // namespace

void write_checkpoint(const std::string& prefix, NamedValues values) {
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  tf::BundleWriter writer(tf::Env::Default(), prefix);
  for (const auto& [name, value] : values)
    throw_if_error(writer.Add(name, value), "saving variable " + name + " to " + prefix);
  throw_if_error(writer.Finish(), "saving checkpoint " + prefix);
}

CheckpointWriter::CheckpointWriter(std::string dir, int keep, BestCheckpoint best)
    : dir_(std::move(dir)), keep_(keep), best_(std::move(best)) {
  remove_temporary_checkpoints(dir_);
  state_ = read_checkpoint_state(dir_);
  std::erase_if(state_.all, [](const std::string& prefix) { return !checkpoint_exists(prefix); });
  thread_ = std::thread([this] { work(); });
}

CheckpointWriter::~CheckpointWriter() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::save(int64_t step, NamedValues values, std::optional<double> metric) {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [this] { return !pending_; });
  values_ = {step, std::move(values), metric};
  pending_ = true;
  changed_.notify_all();
}

void CheckpointWriter::wait() {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [this] { return !pending_; });
}

std::string CheckpointWriter::last_saved() {
  std::lock_guard lock(mu_);
  return last_saved_;
}

std::string CheckpointWriter::last_error() {
  std::lock_guard lock(mu_);
  return last_error_;
}

void CheckpointWriter::work() {
  std::unique_lock lock(mu_);
  std::optional<Values> failed;  // tried again until newer ones are given
  for (;;) {
    const auto wanted = [this] { return pending_ || stop_; };
    if (failed)
      changed_.wait_for(lock, kRetryPause, wanted);
    else
      changed_.wait(lock, wanted);
    if (!pending_ && stop_) return;
    const bool again = !pending_;
    Values values = again ? std::move(*failed) : std::move(values_);
    failed.reset();
    lock.unlock();
    const std::string error = try_to_write(values, again);
    lock.lock();
    last_error_ = error;
    if (error.empty())
      last_saved_ = state_.latest;
    else
      failed = std::move(values);
    if (!again) pending_ = false;
    changed_.notify_all();
  }
}

std::string CheckpointWriter::try_to_write(const Values& values, bool again) {
  const std::string name = "checkpoint of step " + std::to_string(values.step);
  try {
    write(values);
    if (again) log_info(name + " is saved now");
    return "";
  } catch (const std::exception& e) {
    if (!again)
      log_error(name + " was not saved: " + e.what() +
                (state_.latest.empty() ? "" : "; the last good one is " + state_.latest) + "; it is tried again");
    return e.what();
  }
}

void CheckpointWriter::write(const Values& values) {
  const std::string prefix = checkpoint_prefix(dir_, values.step);
  try {
    write_checkpoint(prefix, values.tensors);
  } catch (const Error&) {
    if (has_atomic_move(dir_)) remove_temporary_checkpoints(dir_);  // a full disk must not stay full because of us
    throw;
  }
  CheckpointState next = state_;
  std::erase(next.all, prefix);
  next.all.push_back(prefix);
  next.latest = prefix;
  std::vector<std::string> old;
  while (keep_ > 0 && next.all.size() > static_cast<size_t>(keep_)) {
    old.push_back(next.all.front());
    next.all.erase(next.all.begin());
  }
  // First name the new one, then remove old ones: the file never names what is not there.
  write_checkpoint_state(dir_, next);
  state_ = next;
  if (best_.is_better(values.metric)) {
    old.push_back(best_.prefix());
    best_.set(prefix, values.step, *values.metric);
  }
  for (const std::string& gone : old) remove_old(gone);
}

// Unless it is among the newest or the best.
void CheckpointWriter::remove_old(const std::string& prefix) {
  if (prefix.empty() || prefix == best_.prefix()) return;
  if (std::find(state_.all.begin(), state_.all.end(), prefix) != state_.all.end()) return;
  remove_checkpoint(prefix);
}

}  // namespace mox
