#include "cluster/arrivals.h"

#include <fmt/format.h>

#include <algorithm>

#include "moxing/log.h"

namespace mox::cluster {
namespace {

constexpr double kHandshakeSeconds = 5;
constexpr size_t kMaxHandshakes = 256;  // at once; what comes beyond is closed, and peers try again
constexpr size_t kMaxRing = 64;         // connections of groups that never came about

}  // namespace

Arrivals::Arrivals(const Address& address, const std::string& flag, std::string token,
                   std::function<Identity()> identity)
    : token_(std::move(token)), identity_(std::move(identity)), listener_(address, flag) {
  acceptor_ = WorkerThread("mox_accept", [this](const std::stop_token&) { accept_all(); });
}

Arrivals::~Arrivals() {
  stop_.set();
  acceptor_.stop();
  join_finished(true);
}

void Arrivals::accept_all() {
  try {
    for (;;) {
      Socket socket = listener_.accept(for_seconds(60, &stop_));
      join_finished(false);
      if (!socket.is_open()) continue;
      const MutexLock lock(mutex_);
      if (handlers_.size() >= kMaxHandshakes) continue;
      Handler& handler = handlers_.emplace_back();
      const auto held = std::make_shared<Socket>(std::move(socket));
      handler.thread = WorkerThread("mox_handshake", [this, &handler, held](const std::stop_token&) {
        shake_hands(std::move(*held));
        const MutexLock lock(mutex_);
        handler.done = true;
      });
    }
  } catch (const Interrupted&) {
  }
}

void Arrivals::join_finished(bool all) {
  std::list<Handler> finished;
  {
    const MutexLock lock(mutex_);
    for (auto at = handlers_.begin(); at != handlers_.end();) {
      const auto next = std::next(at);
      if (all || at->done) finished.splice(finished.end(), handlers_, at);
      at = next;
    }
  }
  for (Handler& handler : finished) handler.thread.join();
}

void Arrivals::shake_hands(Socket socket) {
  const std::string from = socket.peer();
  Channel channel(std::move(socket));
  const Wait wait = for_seconds(kHandshakeSeconds, &stop_);
  try {
    const Identity mine = identity_();
    Greeted greeted = receive_greeting(&channel, mine, token_, wait);
    if (greeted.hello.purpose != Purpose::kRing) return sort_in({std::move(channel), std::move(greeted)});
    welcome(&channel, greeted, mine, token_, wait);
    const MutexLock lock(mutex_);
    if (ring_.size() >= kMaxRing) ring_.erase(ring_.begin());
    ring_.push_back({greeted.hello, std::move(channel.socket())});
    changed_.notify_all();
  } catch (const Refused& e) {
    log_warning(fmt::format("a process at {} was refused: {}", from, e.what()));
  } catch (const Interrupted&) {
  } catch (const std::exception& e) {
    log_debug(fmt::format("a connection was refused: {}", e.what()));
  }
}

void Arrivals::sort_in(Joiner joiner) {
  MutexLock lock(mutex_);
  if (taking_) {
    joiners_.push_back(std::move(joiner));
    arrived_.set();
    return;
  }
  const std::string why = why_not_;
  lock.unlock();
  put_off(&joiner.channel, why, for_seconds(kHandshakeSeconds, &stop_));
}

void Arrivals::take_joiners() {
  const MutexLock lock(mutex_);
  taking_ = true;
}

void Arrivals::put_off_joiners(const std::string& why) {
  std::vector<Joiner> waiting;
  {
    const MutexLock lock(mutex_);
    taking_ = false;
    why_not_ = why;
    waiting.swap(joiners_);
    arrived_.clear();
  }
  for (Joiner& joiner : waiting) {
    try {
      put_off(&joiner.channel, why, for_seconds(1, &stop_));
    } catch (const Error&) {  // it is gone, or finds out by itself
    }
  }
}

std::vector<Joiner> Arrivals::joiners() {
  const MutexLock lock(mutex_);
  arrived_.clear();
  return std::exchange(joiners_, {});
}

void Arrivals::return_joiner(Joiner joiner) {
  const MutexLock lock(mutex_);
  joiners_.push_back(std::move(joiner));
  arrived_.set();
}

Socket Arrivals::wait_for_ring(uint64_t group, int64_t task_index, const Wait& wait) {
  MutexLock lock(mutex_);
  for (;;) {
    const auto found = std::find_if(ring_.begin(), ring_.end(), [&](const RingArrival& arrival) {
      return arrival.hello.group == group && arrival.hello.identity.task_index == task_index;
    });
    if (found != ring_.end()) {
      Socket socket = std::move(found->socket);
      ring_.erase(found);
      return socket;
    }
    if (wait.interrupt && wait.interrupt->is_set()) throw Interrupted("broken off");
    if (Clock::now() >= wait.until) return {};
    changed_.wait_for(lock, std::chrono::milliseconds(20), [] { return false; });
  }
}

}  // namespace mox::cluster
