#include "cluster/member.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "base/host.h"
#include "base/message_body.h"
#include "base/random.h"
#include "cluster/member_impl.h"
#include "moxing/version.h"

namespace mox::cluster {
namespace {

MemberOptions checked(MemberOptions options) {
  check_workers(options.task_index, options.worker_hosts, options.min_workers);
  return options;
}

std::vector<std::pair<std::string, std::string>> all_agreed(const MemberOptions& options) {
  std::vector<std::pair<std::string, std::string>> agreed = {
      {"MoXing", version()}, {"--worker_hosts", fmt::format("{}", fmt::join(options.worker_hosts, ","))}};
  agreed.insert(agreed.end(), options.agreed.begin(), options.agreed.end());
  return agreed;
}

}  // namespace

void check_workers(int64_t task_index, const std::vector<std::string>& worker_hosts, int64_t min_workers) {
  const auto workers = static_cast<int64_t>(worker_hosts.size());
  if (task_index < 0 || task_index >= workers)
    throw InvalidArgumentError(fmt::format("--task_index is {}, expected 0 to {}: --worker_hosts has {} hosts ({})",
                                           task_index, workers - 1, workers, fmt::join(worker_hosts, ",")));
  for (const std::string& host : worker_hosts) {
    parse_address(host);
    if (std::count(worker_hosts.begin(), worker_hosts.end(), host) > 1)
      throw InvalidArgumentError(
          fmt::format("--worker_hosts names {} twice; each worker needs an address of its own", host));
  }
  if (min_workers < 0 || min_workers > workers || (min_workers > 0 && 2 * min_workers <= workers))
    throw InvalidArgumentError(fmt::format(
        "--min_workers is {}, expected 0 or {} to {}: more than half of the {} workers, else two groups that do "
        "not see each other would both go on",
        min_workers, workers / 2 + 1, workers, workers));
}

GroupBroken::~GroupBroken() = default;
PeerFailed::~PeerFailed() = default;

Member::Impl::Impl(MemberOptions given)
    : options(checked(std::move(given))),
      own_address(parse_address(options.worker_hosts[options.task_index])),
      host(host_name()),
      incarnation(random_number()),
      agreed(all_agreed(options)),
      arrivals(own_address, fmt::format("--worker_hosts[{}]", options.task_index), options.token,
               [this] { return identity(); }) {}

Member::Impl::~Impl() { stop_watching(); }

Identity Member::Impl::identity() {
  const MutexLock lock(mutex);
  return {options.task_index, own_address.text(), host, ::getpid(), incarnation, global_step, agreed, finishing};
}

Member::Member(MemberOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Member::~Member() = default;

const Group& Member::form(int64_t global_step, const std::function<bool()>& stopped, bool finishing) {
  return impl_->form(global_step, stopped, finishing);
}

const Group& Member::group() const { return impl_->group; }
Ring& Member::ring() { return impl_->ring; }

void Member::Impl::throw_if_over() {
  if (over && how == End::kFailed) throw PeerFailed(why);
  if (over) throw GroupBroken(why);
}

void Member::check() const {
  const MutexLock lock(impl_->mutex);
  impl_->throw_if_over();
}

void Member::begin_exchange(int64_t number) {
  const MutexLock lock(impl_->mutex);
  impl_->progress = {number, true};
  impl_->throw_if_over();
}

void Member::end_exchange() {
  const MutexLock lock(impl_->mutex);
  impl_->progress = {impl_->progress.exchange + 1, false};
}

void Member::Impl::explain(const std::string& error) {
  MutexLock lock(mutex);
  throw_if_over();
  trouble = error;
  trouble_since = Clock::now();
  wake.set();
  changed.wait_for(lock, std::chrono::duration<double>(2 * options.heartbeat_limit + 2),
                   [this]() MOX_REQUIRES(mutex) { return over; });
  throw_if_over();
  throw GroupBroken(error);
}

void Member::explain(const std::exception& error) { impl_->explain(error.what()); }

bool Member::is_exchanging() const {
  const MutexLock lock(impl_->mutex);
  return impl_->progress.exchanging;
}

std::string Member::stragglers() const {
  const MutexLock lock(impl_->mutex);
  std::vector<std::pair<std::string, Progress>> all = {{"this worker", impl_->progress}};
  all.insert(all.end(), impl_->others_progress.begin(), impl_->others_progress.end());
  int64_t furthest = 0;
  for (const auto& [name, progress] : all)
    if (progress.exchanging) furthest = std::max(furthest, progress.exchange + 1);
  std::vector<std::string> behind;
  for (const auto& [name, progress] : all)
    if (progress.exchange + progress.exchanging < furthest) behind.push_back(name);
  if (behind.empty()) return "";
  return fmt::format("{} {} not come to the exchange in which {} wait{}", fmt::join(behind, ", "),
                     behind.size() == 1 ? "has" : "have", all.size() - behind.size(),
                     all.size() - behind.size() == 1 ? "s" : "");
}

void Member::leave(const std::string& error) {
  impl_->stop_watching();
  Body body;
  const std::string text = error.empty() ? "" : impl_->identity().text() + ": " + error;
  for (Watched& other : impl_->watched) {
    try {
      if (other.channel.is_open())
        other.channel.send(MessageType::kStopping, body.text(text).take(), for_seconds(kMessageSeconds));
    } catch (const Error&) {  // it finds out by itself
    }
  }
  impl_->watched.clear();
  impl_->arrivals.put_off_joiners("it is about to end");
  const MutexLock lock(impl_->mutex);
  impl_->over = true;
  impl_->why = "this worker has left the group";
}

}  // namespace mox::cluster
