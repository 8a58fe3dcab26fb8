// How a group comes about.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/poll.h>

#include <algorithm>

#include "base/message_body.h"
#include "base/random.h"
#include "cluster/member_impl.h"
#include "moxing/log.h"

namespace mox::cluster {
namespace {

constexpr double kConnectSeconds = 2, kRingSeconds = 20, kPause = 0.2;

void pause(double seconds) {
  std::vector<Ready> none;
  wait_for(&none, for_seconds(seconds));
}

std::string write_group(const Group& group) {
  Body body;
  body.number(group.number).number(static_cast<uint64_t>(group.source));
  body.number(static_cast<uint64_t>(group.global_step)).number(group.seats.size());
  for (const Group::Seat& seat : group.seats) body.number(static_cast<uint64_t>(seat.task_index)).text(seat.name);
  return body.take();
}

Group read_group(const std::string& bytes, int64_t task_index) {
  BodyReader body(bytes);
  Group group;
  group.number = body.number();
  group.source = static_cast<int>(body.number());
  group.global_step = static_cast<int64_t>(body.number());
  for (uint64_t left = std::min<uint64_t>(body.number(), 1 << 20); left > 0; --left) {
    const auto index = static_cast<int64_t>(body.number());
    if (index == task_index) group.rank = group.size();
    group.seats.push_back({index, body.text()});
  }
  return group;
}

bool has_closed(Channel* channel) {
  std::vector<Ready> ready = {{channel->socket().fd(), POLLIN}};
  try {
    return wait_for(&ready, for_seconds(0)) && (channel->poll(), false);
  } catch (const ConnectionError&) {
    return true;
  }
}

}  // namespace

const Group& Member::Impl::form(int64_t step, const std::function<bool()>& stopped, bool at_end) {
  stop_watching();
  watched.clear();
  ring.close();
  {
    const MutexLock lock(mutex);
    global_step = step;
    finishing = at_end;
  }
  waiting_since = Clock::now();
  taken_since = {};
  next_report = options.wait_report;
  const auto until = waiting_since + std::chrono::duration_cast<Clock::duration>(
                                         std::chrono::duration<double>(options.session_timeout));
  for (;;) {
    std::string why_not;
    const int64_t leaders = options.min_workers > 0 ? options.task_index : std::min<int64_t>(1, options.task_index);
    for (int64_t leader = 0; leader < leaders; ++leader)
      if (follow(leader, stopped, &why_not)) return group;
    const bool may_lead =
        options.task_index == 0 || (options.min_workers > 0 && seconds_since(waiting_since) > options.grace / 2);
    // Not for long, unless it is worker 0: one that comes before it in the list may be back.
    if (may_lead &&
        lead(stopped, options.task_index == 0 ? until : std::min(until, Clock::now() + std::chrono::seconds(3))))
      return group;
    if (stopped && stopped()) throw Interrupted("stopped while waiting for the other workers");
    if (Clock::now() >= until)
      throw RunError(fmt::format("the other workers did not come within {:g} s (--session_timeout): {}",
                                 options.session_timeout, why_not));
    if (!may_lead) {
      report_waiting(why_not);
      pause(kPause);
    }
  }
}

void Member::Impl::report_waiting(const std::string& missing) {
  const double waited = seconds_since(waiting_since);
  if (waited < next_report) return;
  next_report = std::max(2 * waited, waited + options.wait_report);
  if (next_report - waited > 60) next_report = waited + 60;
  log_warning(fmt::format("waiting for {:.0f} s: {}", waited, missing));
}

std::string Member::Impl::missing_of(const std::vector<Watched>& joined) const {
  std::vector<std::string> missing;
  for (size_t i = 0; i < options.worker_hosts.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const bool there = index == options.task_index || std::any_of(joined.begin(), joined.end(), [&](const Watched& w) {
                         return w.task_index == index;
                       });
    if (!there) missing.push_back(fmt::format("worker {} ({})", i, options.worker_hosts[i]));
  }
  constexpr size_t kNamed = 8;
  const size_t more = missing.size() > kNamed ? missing.size() - kNamed : 0;
  missing.resize(missing.size() - more);
  return fmt::format("{}{} did not connect to worker {} ({})", fmt::join(missing, ", "),
                     more ? fmt::format(" and {} more", more) : "", options.task_index, own_address.text());
}

void Member::Impl::take_joiner(Joiner joiner, std::vector<Watched>* joined) {
  const Identity& who = joiner.identity();
  const Wait wait = for_seconds(kMessageSeconds);
  try {
    if (joiner.greeted.hello.purpose == Purpose::kKnock) return put_off(&joiner.channel, "no group runs", wait);
    if (who.task_index < 0 || who.task_index >= static_cast<int64_t>(options.worker_hosts.size()) ||
        who.task_index == options.task_index)
      return refuse(&joiner.channel, fmt::format("--task_index {} is taken by {}", who.task_index, identity().text()),
                    wait);
    const auto before =
        std::find_if(joined->begin(), joined->end(), [&](const Watched& w) { return w.task_index == who.task_index; });
    if (before != joined->end()) {
      if (before->incarnation != who.incarnation && !has_closed(&before->channel))
        return say_taken(&joiner.channel, before->name, wait);
      joined->erase(before);
    }
    welcome(&joiner.channel, joiner.greeted, identity(), options.token, wait);
    Watched watched_one;
    watched_one.task_index = who.task_index;
    watched_one.name = who.text();
    watched_one.incarnation = who.incarnation;
    watched_one.progress.exchange = who.global_step;  // until the group begins: what it holds
    watched_one.finishing = who.finishing;
    watched_one.channel = std::move(joiner.channel);
    joined->push_back(std::move(watched_one));
  } catch (const Error& e) {
    log_debug(fmt::format("{} went away: {}", who.text(), e.what()));
  }
}

// Those that went on without this worker follow another one.
void Member::Impl::knock(const std::vector<Watched>& joined) {
  for (size_t i = options.task_index + 1; i < options.worker_hosts.size(); ++i) {
    if (std::any_of(joined.begin(), joined.end(),
                    [&](const Watched& w) { return w.task_index == static_cast<int64_t>(i); }))
      continue;
    try {
      Channel channel(connect_to(parse_address(options.worker_hosts[i]), for_seconds(0.5)));
      greet(&channel, {identity(), Purpose::kKnock, 0}, options.token, for_seconds(1));
    } catch (const ConnectionError&) {  // the answer of those that are there, too: they come
    }
  }
}

// Whether a group may begin with this process and those that joined it.
bool Member::Impl::is_enough(const std::vector<Watched>& joined) {
  const size_t there = joined.size() + 1;
  if (there == options.worker_hosts.size()) return true;
  if (seconds_since(waiting_since) <= options.grace) return false;
  if (options.min_workers > 0 && static_cast<int64_t>(there) >= options.min_workers) return true;
  const bool at_end = identity().finishing ||
                      std::any_of(joined.begin(), joined.end(), [](const Watched& other) { return other.finishing; });
  return options.task_index == 0 && at_end;
}

bool Member::Impl::lead(const std::function<bool()>& stopped, Clock::time_point until) {
  std::vector<Watched> joined;
  arrivals.take_joiners();
  auto last_told = Clock::now() - std::chrono::seconds(1);
  while (Clock::now() < until) {
    for (Joiner& joiner : arrivals.joiners()) take_joiner(std::move(joiner), &joined);
    std::erase_if(joined, [](Watched& w) { return has_closed(&w.channel); });
    if (is_enough(joined)) {
      if (start_group(std::move(joined))) return true;
      joined.clear();
      continue;
    }
    if (stopped && stopped()) break;
    const std::string missing = missing_of(joined);
    report_waiting(missing);
    if (seconds_since(last_told) >= 1) {
      last_told = Clock::now();
      for (Watched& w : joined) {
        try {
          w.channel.send(MessageType::kWaiting, missing, for_seconds(kMessageSeconds));
        } catch (const Error&) {
          w.channel.socket().close();
        }
      }
      std::erase_if(joined, [](const Watched& w) { return !w.channel.is_open(); });
      if (options.min_workers > 0) knock(joined);
    }
    std::vector<Ready> ready = {{arrivals.fd(), POLLIN}};
    wait_for(&ready, for_seconds(kPause));
  }
  if (options.task_index == 0 && Clock::now() >= until)
    throw RunError(fmt::format("the other workers did not come within {:g} s (--session_timeout): {}",
                               options.session_timeout, missing_of(joined)));
  arrivals.put_off_joiners(own_address.text() + " does not lead");
  if (stopped && stopped()) throw Interrupted("stopped while waiting for the other workers");
  return false;
}

bool Member::Impl::start_group(std::vector<Watched> joined) {
  const Identity me = identity();
  Group made;
  made.number = random_number();
  std::vector<std::pair<Group::Seat, int64_t>> seats = {{{me.task_index, me.text()}, me.global_step}};
  for (const Watched& w : joined) seats.push_back({{w.task_index, w.name}, w.progress.exchange});
  std::sort(seats.begin(), seats.end(),
            [](const auto& a, const auto& b) { return a.first.task_index < b.first.task_index; });
  for (const auto& [seat, step] : seats) {
    if (seat.task_index == options.task_index) made.rank = made.size();
    if (step > made.global_step) {
      made.global_step = step;
      made.source = made.size();
    }
    made.seats.push_back(seat);
  }
  try {
    for (Watched& w : joined) w.channel.send(MessageType::kForm, write_group(made), for_seconds(kMessageSeconds));
    Ring connected = connect_ring(made);
    for (Watched& w : joined)
      if (w.channel.receive(for_seconds(kRingSeconds)).type != MessageType::kReady)
        throw ConnectionError(w.name + " could not connect to its neighbours");
    for (Watched& w : joined) w.channel.send(MessageType::kGo, "", for_seconds(kMessageSeconds));
    leads = true;
    begin_group(std::move(made), std::move(connected), std::move(joined));
    return true;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& e) {
    log_debug(fmt::format("a group did not come about: {}", e.what()));
    return false;  // all channels are closed: the others come again
  }
}

Ring Member::Impl::connect_ring(const Group& made) {
  const int size = made.size();
  if (size == 1) return {};
  const Group::Seat& to = made.seats[(made.rank + 1) % size];
  const Group::Seat& from = made.seats[(made.rank + size - 1) % size];
  const Wait wait = for_seconds(kRingSeconds);
  Channel next(connect_to(parse_address(options.worker_hosts[to.task_index]), wait));
  greet(&next, {identity(), Purpose::kRing, made.number}, options.token, wait);
  next.socket().name(to.name);
  Link to_next(std::move(next.socket()));
  to_next.offer_memory(wait);
  Socket previous = arrivals.wait_for_ring(made.number, from.task_index, wait);
  if (!previous.is_open()) throw ConnectionError(from.name + " did not connect");
  previous.name(from.name);
  Link from_previous(std::move(previous));
  from_previous.answer_offer(wait);
  to_next.take_answer(wait);
  return {made.rank, size, std::move(to_next), std::move(from_previous), 0, &interrupt};
}

bool Member::Impl::follow(int64_t leader, const std::function<bool()>& stopped, std::string* why_not) {
  const std::string& address = options.worker_hosts[leader];
  try {
    Channel channel(connect_to(parse_address(address), for_seconds(kConnectSeconds)));
    const Identity other = greet(&channel, {identity(), Purpose::kJoin, 0}, options.token,
                                 for_seconds(std::max(5.0, options.heartbeat_limit)));
    channel.socket().name(other.text());
    *why_not = "worker " + std::to_string(leader) + " (" + address + ") waits for others";
    for (;;) {
      const Message message = channel.receive(for_seconds(std::max(5.0, options.heartbeat_limit)));
      if (message.type == MessageType::kWaiting) {
        *why_not = message.body;
        report_waiting(message.body);
        if (stopped && stopped()) throw Interrupted("stopped while waiting for the other workers");
        continue;
      }
      if (message.type != MessageType::kForm) throw ConnectionError(other.text() + ": it is of another version");
      Group made = read_group(message.body, options.task_index);
      Ring connected = connect_ring(made);
      channel.send(MessageType::kReady, "", for_seconds(kMessageSeconds));
      if (channel.receive(for_seconds(kRingSeconds)).type != MessageType::kGo)
        throw ConnectionError(other.text() + ": the group did not come about");
      std::vector<Watched> one(1);
      one[0].task_index = other.task_index;
      one[0].name = other.text();
      one[0].incarnation = other.incarnation;
      one[0].channel = std::move(channel);
      leads = false;
      begin_group(std::move(made), std::move(connected), std::move(one));
      return true;
    }
  } catch (const Taken& e) {
    if (taken_since == Clock::time_point()) taken_since = Clock::now();
    if (seconds_since(taken_since) > 2 * options.heartbeat_limit + 1)
      throw Refused(fmt::format("{}; this is {}", e.what(), identity().text()));
    *why_not = e.what();
  } catch (const ConnectionError& e) {
    taken_since = {};
    *why_not = fmt::format("worker {}: {}", leader, e.what());
  }
  return false;
}

void Member::Impl::begin_group(Group made, Ring connected, std::vector<Watched> others) {
  group = std::move(made);
  ring = std::move(connected);
  interrupt.clear();
  wake.clear();
  watched = std::move(others);
  if (!leads) arrivals.put_off_joiners(own_address.text() + " does not lead");
  {
    const MutexLock lock(mutex);
    over = told_trouble = false;
    why.clear();
    trouble.clear();
    others_progress.clear();
    progress = {};
  }
  for (Watched& w : watched) {
    w.last_sign = Clock::now();
    w.progress = {};
  }
  watcher = WorkerThread("mox_members", [this](const std::stop_token& stop) { watch(stop); });
}

}  // namespace mox::cluster
