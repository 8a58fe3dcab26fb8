#include "cluster/exchanger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mox::cluster {
namespace {

// Floats that are summed at once: each hop carries half a megabyte. Less would be more hops, each of which waits for
// the one before; with more what is copied and added leaves the second-level cache (4 MB with 2 processes: a quarter
// more CPU time).
size_t piece_of(int processes) { return static_cast<size_t>(processes) << 17; }

}  // namespace

PeerFinished::~PeerFinished() = default;
StepCancelled::~StepCancelled() = default;

Exchanger::Exchanger(Member* member, Options options)
    : member_(member),
      options_(std::move(options)),
      thread_("mox_exchange", [this](const std::stop_token& stop) { run(stop); }) {}

Exchanger::~Exchanger() {
  thread_.stop();
  drop_posted();
}

void Exchanger::drop_posted() {
  std::map<int, Posted> dropped;
  {
    const MutexLock lock(mutex_);
    dropped.swap(posted_);
  }
  for (auto& [bucket, posted] : dropped)
    posted.done(std::make_exception_ptr(GroupBroken("the step was given up with its group")));
}

void Exchanger::restart() {
  {
    MutexLock lock(mutex_);
    changed_.wait(lock, [this]() MOX_REQUIRES(mutex_) { return !exchanging_ && posted_.empty(); });
    error_ = nullptr;
    next_ = 0;
    steps_ = 0;
    tell_.clear();
    told_.reset();
  }
}

void Exchanger::post(int bucket, std::vector<Part> parts, Done done) {
  {
    const MutexLock lock(mutex_);
    posted_[bucket] = {std::move(parts), std::move(done)};
  }
  changed_.notify_all();
}

void Exchanger::cancel() {
  {
    const MutexLock lock(mutex_);
    if (!error_) error_ = std::make_exception_ptr(StepCancelled("the step has failed"));
  }
  changed_.notify_all();
}

int64_t Exchanger::steps() const {
  const MutexLock lock(mutex_);
  return steps_;
}

std::exception_ptr Exchanger::error() const {
  const MutexLock lock(mutex_);
  return error_;
}

void Exchanger::vote(Vote vote) {
  const MutexLock lock(mutex_);
  vote_[static_cast<size_t>(vote)] = true;
}

bool Exchanger::was_voted(Vote vote) const {
  const MutexLock lock(mutex_);
  return voted_[static_cast<size_t>(vote)];
}

void Exchanger::tell(const std::vector<double>& numbers) {
  const MutexLock lock(mutex_);
  tell_.assign(numbers.begin(), numbers.begin() + static_cast<int64_t>(std::min(numbers.size(), kTold)));
}

std::optional<std::vector<double>> Exchanger::told() const {
  const MutexLock lock(mutex_);
  return told_;
}

bool Exchanger::finish() {
  std::vector<std::vector<float>> nothing;
  std::vector<Part> parts;
  for (const size_t count : options_.first) {
    std::vector<float>& part = nothing.emplace_back(count);
    parts.push_back({part.data(), part.data(), count});
  }
  {
    const MutexLock lock(mutex_);
    finishing_ = true;
  }
  bool ended = false;
  std::exception_ptr error;
  post(0, std::move(parts), [&](const std::exception_ptr& e) {
    const MutexLock lock(mutex_);
    error = e;
    ended = true;
    changed_.notify_all();
  });
  {
    MutexLock lock(mutex_);
    changed_.wait(lock, [&] { return ended; });
    finishing_ = false;
  }
  restart();
  try {
    std::rethrow_exception(error);
  } catch (const PeerFinished&) {
    const MutexLock lock(mutex_);
    return all_finished_;
  }
}

void Exchanger::run(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  const auto has_next = [this]() MOX_REQUIRES(mutex_) { return error_ ? !posted_.empty() : posted_.count(next_) > 0; };
  while (changed_.wait(lock, stop, has_next)) {
    const auto at = error_ ? posted_.begin() : posted_.find(next_);
    const int bucket = at->first;
    const Posted posted = std::move(at->second);
    posted_.erase(at);
    std::exception_ptr error = error_;
    exchanging_ = true;
    lock.unlock();
    if (!error) {
      try {
        exchange(bucket, posted.parts);
      } catch (...) {
        error = std::current_exception();
      }
    }
    lock.lock();
    if (error && !error_) error_ = error;
    if (!error) {
      next_ = is_last(bucket, posted.parts) ? 0 : bucket + 1;
      if (next_ == 0) ++steps_;
    }
    lock.unlock();
    posted.done(error);
    lock.lock();
    exchanging_ = false;
    changed_.notify_all();
  }
}

void Exchanger::exchange(int bucket, const std::vector<Part>& parts) {
  if (bucket == 0) member_->begin_exchange(steps());
  try {
    exchange_parts(bucket, parts);
    if (is_last(bucket, parts)) member_->end_exchange();
  } catch (const PeerFinished&) {
    packed_.clear();
    targets_.clear();
    member_->end_exchange();
    throw;
  } catch (const std::exception& e) {
    packed_.clear();
    targets_.clear();
    signals_under_way_ = false;
    member_->explain(e);
  }
}

// The same pieces everywhere: where they begin and end follows from the counts alone.
void Exchanger::exchange_parts(int bucket, const std::vector<Part>& parts) {
  const size_t piece = piece_of(member_->group().size());
  if (bucket == 0) add_signals();
  for (const Part& part : parts) {
    if (part.count == 0) continue;  // an empty tensor has no address
    if (part.count >= piece) {      // in place: there is nothing to gain from packing it
      if (signals_under_way_) flush();
      if (part.to != part.from) std::memcpy(part.to, part.from, part.count * sizeof(float));
      for (size_t at = 0; at < part.count; at += piece) exchange_piece(part.to + at, std::min(piece, part.count - at));
      continue;
    }
    if (packed_.size() + part.count > piece) flush();
    packed_.insert(packed_.end(), part.from, part.from + part.count);
    targets_.emplace_back(part.to, part.count);
  }
  flush();
}

void Exchanger::add_signals() {
  const MutexLock lock(mutex_);
  signals_ = {};
  if (finishing_) {
    signals_.finished = 1;
    signals_.finished_ranks = static_cast<float>(member_->group().rank);
  }
  signals_.stop = vote_[static_cast<size_t>(Vote::kStop)] ? 1 : 0;
  signals_.interrupt = vote_[static_cast<size_t>(Vote::kInterrupt)] ? 1 : 0;
  signals_.tells = tell_.empty() ? 0 : 1;
  std::copy(tell_.begin(), tell_.end(), signals_.told.begin());
  signals_under_way_ = true;
  for (float* signal :
       {&signals_.finished, &signals_.finished_ranks, &signals_.stop, &signals_.interrupt, &signals_.tells}) {
    packed_.push_back(*signal);
    targets_.emplace_back(signal, 1);
  }
  packed_.insert(packed_.end(), signals_.told.begin(), signals_.told.end());
  targets_.emplace_back(signals_.told.data(), signals_.told.size());
}

void Exchanger::take_signals() {
  const Group& group = member_->group();
  const auto sum_of = [&](float mean) { return std::lround(mean * static_cast<float>(group.size())); };
  const int64_t finished = sum_of(signals_.finished);
  {
    const MutexLock lock(mutex_);
    voted_[static_cast<size_t>(Vote::kStop)] |= signals_.stop > 0;
    voted_[static_cast<size_t>(Vote::kInterrupt)] |= signals_.interrupt > 0;
    all_finished_ = finished == group.size();
    if (sum_of(signals_.tells) == group.size() && !tell_.empty()) {
      told_.emplace(signals_.told.begin(), signals_.told.begin() + static_cast<int64_t>(tell_.size()));
      tell_.clear();
    }
  }
  if (finished == 0) return;
  const auto rank = static_cast<size_t>(sum_of(signals_.finished_ranks));
  throw PeerFinished(finished == 1 && rank < group.seats.size()
                         ? group.seats[rank].name + " has no more steps: its input ended"
                         : fmt::format("{} of {} workers have no more steps", finished, group.size()));
}

bool Exchanger::is_last(int bucket, const std::vector<Part>& parts) const {
  return bucket == options_.buckets - 1 || (options_.gate && bucket == 0 && *parts[0].to != 0);
}

void Exchanger::flush() {
  if (packed_.empty()) return;
  exchange_piece(packed_.data(), packed_.size());
  const float* from = packed_.data();
  for (const auto& [to, count] : targets_) {
    std::memcpy(to, from, count * sizeof(float));
    from += count;
  }
  packed_.clear();
  targets_.clear();
  if (!signals_under_way_) return;
  signals_under_way_ = false;
  take_signals();
}

void Exchanger::exchange_piece(float* data, size_t count) {
  Ring& ring = member_->ring();
  const float part = 1.0f / static_cast<float>(ring.size());
  // The signals are whole numbers, which bfloat16 does not keep.
  if (options_.wire == WireType::kFloat || signals_under_way_) return ring.all_reduce(data, count, part);
  halves_.resize(count);
  for (size_t i = 0; i < count; ++i) halves_[i] = to_bfloat16(data[i]);
  ring.all_reduce(halves_.data(), count, part);
  for (size_t i = 0; i < count; ++i) data[i] = to_float(halves_[i]);
}

}  // namespace mox::cluster
