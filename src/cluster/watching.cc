// The thread that watches over a running group.
#include <fmt/format.h>
#include <sys/poll.h>

#include <algorithm>

#include "base/message_body.h"
#include "cluster/member_impl.h"
#include "moxing/log.h"

namespace mox::cluster {
namespace {

// A ring's error is nobody's fault but the lost one's: what is closed shows within this time.
constexpr double kPatience = 0.5;

}  // namespace

void Member::Impl::stop_watching() { watcher.stop(); }

void Member::Impl::watch(const std::stop_token& stop) {
  const std::stop_callback wake_up(stop, [this] { wake.set(); });
  last_signs = {};
  try {
    while (!stop.stop_requested() && watch_once()) {
    }
  } catch (const std::exception& e) {
    end_group(fmt::format("watching over the group failed: {}", e.what()));
  }
}

bool Member::Impl::watch_once() {
  std::vector<Ready> ready = {{wake.fd(), POLLIN}, {leads ? arrivals.fd() : -1, POLLIN}};
  for (const Watched& other : watched) ready.push_back({other.channel.socket().fd(), POLLIN});
  wait_for(&ready, for_seconds(kSignSeconds / 2));
  if (ready[0].revents) wake.clear();
  for (size_t i = 0; i < watched.size(); ++i)
    if (ready[i + 2].revents) take_messages(&watched[i]);
  if (leads && ready[1].revents) take_arrivals();
  tell_trouble();
  if (seconds_since(last_signs) >= kSignSeconds) send_signs();
  find_lost();
  const MutexLock lock(mutex);
  return !over;
}

void Member::Impl::send_signs() {
  last_signs = Clock::now();
  Body body;
  {
    const MutexLock lock(mutex);
    body.number(static_cast<uint64_t>(progress.exchange)).number(progress.exchanging);
  }
  const std::string sign = body.take();
  for (Watched& other : watched) {
    if (other.left || !other.channel.is_open()) continue;
    try {
      other.channel.send(MessageType::kAlive, sign, for_seconds(kSignSeconds / 2));
    } catch (const ConnectionError&) {  // find_lost() tells, or take_messages()
    }
  }
}

void Member::Impl::take_messages(Watched* other) {
  try {
    while (other->channel.is_open()) {
      const auto message = other->channel.poll();
      if (!message) return;
      take_message(other, *message);
    }
  } catch (const ConnectionError& e) {
    other->channel.socket().close();
    if (!other->left) end_group(std::string(e.what()) + ", it is gone");
  }
}

void Member::Impl::take_message(Watched* other, const Message& message) {
  other->last_sign = Clock::now();
  BodyReader body(message.body);
  switch (message.type) {
    case MessageType::kAlive:
      other->progress.exchange = static_cast<int64_t>(body.number());
      other->progress.exchanging = body.number() != 0;
      return note_progress();
    case MessageType::kBroken:
      if (!leads) return end_group(message.body);
      {
        const MutexLock lock(mutex);
        if (!trouble.empty()) return;
        trouble = fmt::format("{} says: {}", other->name, message.body);
        trouble_since = Clock::now();
      }
      return;
    case MessageType::kStopping: {
      const std::string error = body.text();
      other->left = true;
      if (!error.empty()) return end_group(error, End::kFailed);
      if (!leads || watched.size() == 1) other->channel.socket().close();
      return;
    }
    default:
      throw ConnectionError(other->name + ": it is of another version");
  }
}

void Member::Impl::note_progress() {
  if (!leads) return;
  const MutexLock lock(mutex);
  others_progress.clear();
  for (const Watched& other : watched)
    if (!other.left) others_progress.emplace_back(other.name, other.progress);
}

void Member::Impl::take_arrivals() {
  for (Joiner& joiner : arrivals.joiners()) {
    const Identity& who = joiner.identity();
    const auto seat =
        std::find_if(watched.begin(), watched.end(), [&](const Watched& w) { return w.task_index == who.task_index; });
    if (seat != watched.end() && seat->incarnation != who.incarnation && seconds_since(seat->last_sign) < 1.5) {
      try {
        say_taken(&joiner.channel, seat->name, for_seconds(kMessageSeconds));
      } catch (const Error&) {
      }
      continue;
    }
    const std::string name = who.text();
    const bool is_same = seat != watched.end() && seat->incarnation == who.incarnation;
    if (joiner.greeted.hello.purpose == Purpose::kKnock) {
      try {
        put_off(&joiner.channel, "the group ends for it", for_seconds(kMessageSeconds));
      } catch (const Error&) {
      }
      return end_group(name + " is back");
    }
    arrivals.return_joiner(std::move(joiner));  // for the next group
    return end_group(seat == watched.end() ? name + " is back"
                     : is_same             ? name + " lost its connection"
                                           : name + " was started anew");
  }
}

void Member::Impl::find_lost() {
  for (const Watched& other : watched)
    if (!other.left && seconds_since(other.last_sign) > options.heartbeat_limit)
      return end_group(fmt::format("{} has not answered for {:g} s", other.name, options.heartbeat_limit));
}

// What this process's ring said, or another's: the leader waits whether somebody is found to be lost, else it is the
// reason itself.
void Member::Impl::tell_trouble() {
  std::string text;
  {
    const MutexLock lock(mutex);
    if (!trouble.empty() && (!leads || seconds_since(trouble_since) > kPatience) && !told_trouble) {
      told_trouble = true;
      text = trouble;
    }
  }
  if (text.empty()) return;
  if (leads) {
    // A peer that is cut off answers nobody: then its name is the better reason.
    const bool silent = std::any_of(watched.begin(), watched.end(), [](const Watched& w) {
      return !w.left && seconds_since(w.last_sign) > 3 * kSignSeconds;
    });
    if (!silent) return end_group(text);
    const MutexLock lock(mutex);
    told_trouble = false;
    return;
  }
  try {
    watched[0].channel.send(MessageType::kBroken, text, for_seconds(kMessageSeconds));
  } catch (const Error&) {  // it is lost: take_messages() or find_lost() tell
  }
}

void Member::Impl::end_group(const std::string& reason, End end) {
  {
    const MutexLock lock(mutex);
    if (over) return;
    over = true;
    how = end;
    why = reason;
    interrupt.set();
    changed.notify_all();
  }
  if (!leads) return;
  Body body;
  const MessageType type = end == End::kFailed ? MessageType::kStopping : MessageType::kBroken;
  const std::string message = end == End::kFailed ? body.text(reason).take() : reason;
  for (Watched& other : watched) {
    if (!other.channel.is_open()) continue;
    try {
      other.channel.send(type, message, for_seconds(kSignSeconds));
    } catch (const Error&) {
    }
  }
}

}  // namespace mox::cluster
