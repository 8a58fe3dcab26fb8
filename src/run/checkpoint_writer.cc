#include "run/checkpoint_writer.h"

#include <algorithm>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {

namespace tf = tensorflow;

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
  step_ = step;
  values_ = std::move(values);
  metric_ = metric;
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
  for (;;) {
    changed_.wait(lock, [this] { return pending_ || stop_; });
    if (!pending_) return;
    const int64_t step = step_;
    NamedValues values = std::move(values_);
    const std::optional<double> metric = metric_;
    lock.unlock();
    std::string error;
    try {
      write(step, std::move(values), metric);
    } catch (const std::exception& e) {
      error = e.what();
      log_error("checkpoint of step " + std::to_string(step) + " was not saved: " + error +
                (state_.latest.empty() ? "" : "; the last good one is " + state_.latest));
    }
    lock.lock();
    last_error_ = error;
    if (error.empty()) last_saved_ = state_.latest;
    pending_ = false;
    changed_.notify_all();
  }
}

void CheckpointWriter::write(int64_t step, NamedValues values, std::optional<double> metric) {
  const std::string prefix = checkpoint_prefix(dir_, step);
  try {
    write_checkpoint(prefix, std::move(values));
  } catch (const Error&) {
    remove_temporary_checkpoints(dir_);  // a full disk must not stay full because of us
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
  if (best_.is_better(metric)) {
    old.push_back(best_.prefix());
    best_.set(prefix, step, *metric);
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
