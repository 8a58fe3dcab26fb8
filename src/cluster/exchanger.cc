#include "cluster/exchanger.h"

#include <algorithm>
#include <cstring>

namespace mox::cluster {
namespace {

// Floats that are summed at once. They stay in the cache from the copy into the piece to the copy out of it; more than
// that when there are many processes, so that each hop carries enough.
size_t piece_of(int processes) { return std::max<size_t>(size_t{256} << 10, static_cast<size_t>(processes) << 15); }

}  // namespace

Exchanger::Exchanger(Member* member, const Options& options)
    : member_(member), options_(options), thread_("mox_exchange", [this](const std::stop_token& stop) { run(stop); }) {}

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
    voted_ = false;
  }
}

void Exchanger::post(int bucket, std::vector<Part> parts, Done done) {
  {
    const MutexLock lock(mutex_);
    posted_[bucket] = {std::move(parts), std::move(done)};
  }
  changed_.notify_all();
}

int64_t Exchanger::steps() const {
  const MutexLock lock(mutex_);
  return steps_;
}

void Exchanger::vote_to_stop() {
  const MutexLock lock(mutex_);
  vote_ = true;
}

bool Exchanger::stop_was_voted() const {
  const MutexLock lock(mutex_);
  return voted_;
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
    error_ = error;
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
    const size_t piece = piece_of(member_->group().size());
    for (const Part& part : parts) {
      if (part.count >= piece) {  // in place: there is nothing to gain from packing it
        if (part.to != part.from) std::memcpy(part.to, part.from, part.count * sizeof(float));
        for (size_t at = 0; at < part.count; at += piece)
          exchange_piece(part.to + at, std::min(piece, part.count - at));
        continue;
      }
      if (packed_.size() + part.count > piece) flush();
      packed_.insert(packed_.end(), part.from, part.from + part.count);
      targets_.emplace_back(part.to, part.count);
    }
    float votes = 0;
    if (bucket == 0) {
      const MutexLock lock(mutex_);
      packed_.push_back(vote_ ? 1.0f : 0.0f);
      targets_.emplace_back(&votes, 1);
    }
    flush();
    if (is_last(bucket, parts)) member_->end_exchange();
    const MutexLock lock(mutex_);
    voted_ |= votes > 0;
  } catch (const std::exception& e) {
    packed_.clear();
    targets_.clear();
    member_->explain(e);
  }
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
}

void Exchanger::exchange_piece(float* data, size_t count) {
  Ring& ring = member_->ring();
  const float part = 1.0f / static_cast<float>(ring.size());
  if (options_.wire == WireType::kFloat || count == 1) {
    ring.all_reduce(data, count);
    for (size_t i = 0; i < count; ++i) data[i] *= part;
    return;
  }
  halves_.resize(count);
  for (size_t i = 0; i < count; ++i) halves_[i] = to_bfloat16(data[i]);
  ring.all_reduce(halves_.data(), count);
  for (size_t i = 0; i < count; ++i) data[i] = to_float(halves_[i]) * part;
}

}  // namespace mox::cluster
