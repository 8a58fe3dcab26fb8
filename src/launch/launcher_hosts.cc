// Agents: what they say, and what becomes of them.
#include <fmt/format.h>
#include <unistd.h>

#include "launch/launcher_impl.h"
#include "moxing/error.h"
#include "moxing/version.h"

namespace mox::launch {
namespace {

constexpr auto kOtherHalf = std::chrono::seconds(2);  // between the end of a stream and of its process

}  // namespace

void Launcher::read_host(Host* host) {
  std::vector<Message> messages;
  std::string noise;
  bool more = false;
  try {
    more = host->channel.receive(&messages, &noise);
    for (const Message& message : messages) take(host, message);
  } catch (const Error& e) {
    say("host '" + host->name + "': " + e.what());
    more = false;
  }
  if (host->error_lines) host->error_lines->add(noise);  // a login shell's greetings
  if (more) return;
  host->channel.close();
  if (!host->end_at) host->end_at = Clock::now();
}

void Launcher::read_host_errors(Host* host) {
  char buffer[4096];
  const ssize_t size = ::read(host->errors.get(), buffer, sizeof buffer);
  if (size > 0) host->error_lines->add({buffer, static_cast<size_t>(size)});
  if (size != 0) return;
  host->error_lines->finish();
  host->errors.reset();
}

void Launcher::take(Host* host, const Message& message) {
  BodyReader body(message.body);
  if (message.type == MessageType::kHello) {
    const std::string theirs = body.text();
    if (theirs != version()) {
      fail(fmt::format("host '{}' has mox {}, this is {}; install the same there, or name another by --remote_mox",
                       host->name, theirs, version()),
           1);
      return;
    }
    std::vector<uint64_t> ids;
    for (size_t id = 0; id < tasks_.size(); ++id)
      if (&hosts_[tasks_[id].plan.host] == host) ids.push_back(id);
    Body reserve;
    reserve.number(static_cast<uint64_t>(options_.grace_secs * 1000)).number(ids.size());
    for (const uint64_t id : ids) reserve.number(id);
    host->channel.send(MessageType::kReserve, reserve.take());
  } else if (message.type == MessageType::kPorts) {
    take_ports(host, &body);
  } else {
    take_task_message(message);
  }
}

void Launcher::take_ports(Host* host, BodyReader* body) {
  uint64_t count = body->number();
  for (Task& task : tasks_) {
    if (&hosts_[task.plan.host] != host || count-- == 0) continue;
    task.address = fmt::format("{}:{}", address_of_host(options_, task.plan.host), body->number());
  }
  host->ready = true;
}

// Its stream and its process end together, or one of them hangs.
void Launcher::watch_host(Host* host) {
  if (host->lost) return;
  const auto now = Clock::now();
  if (host->status && !host->end_at) host->end_at = now;
  if (!host->end_at) return;
  const bool ended = host->status && !host->channel.is_open() && !host->errors.open();
  if (ended || now - *host->end_at > kOtherHalf) lose_host(host);
}

void Launcher::lose_host(Host* host) {
  host->lost = true;
  host->channel.close();
  std::string text = host->is_remote()
                         ? "the connection to host '" + host->name + "' ended"
                         : fmt::format("the process {} that keeps the tasks of this host ended", host->pid);
  if (host->status) text += " (" + describe_status(*host->status) + ")";
  if (phase_ == Phase::kConnecting) {
    const std::string early = text + ", before the agent there was ready";
    fail(!host->is_remote() ? early
                            : early + "; `ssh -o BatchMode=yes " + host->name +
                                  " mox --version` must work from here, see --ssh_command and --remote_mox",
         1);
    return;
  }
  Task* first = nullptr;
  for (Task& task : tasks_) {
    if (&hosts_[task.plan.host] != host || !(task.is_live() || task.restart_at)) continue;
    task.restart_at.reset();
    task.trouble = text;
    if (!first) first = &task;
    task_gone(&task);
  }
  if (first && phase_ == Phase::kRunning) fail(*first);
  if (phase_ == Phase::kRestarting) fail(text, 1);
}

}  // namespace mox::launch
