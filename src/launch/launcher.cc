#include "launch/launcher.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/printable.h"
#include "launch/launcher_impl.h"
#include "launch/processes.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kSameRequest = milliseconds(100);  // `timeout` signals a process and then its group: that is one request
constexpr auto kConnectLimit = seconds(60);
constexpr auto kPingEvery = seconds(5);
constexpr auto kLeastServing = seconds(1);
constexpr auto kForceAfter = seconds(4);  // beyond the grace

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

}  // namespace

Launcher::Launcher(const Options& options) : options_(options), sinks_(standard_sinks()) {
  check_options(options);
  const std::string warning = check_gpus(options);
  if (!options.cluster_file.empty()) cluster_file_ = ClusterFile(options.cluster_file);
  if (!warning.empty()) say(warning);
  cluster_.token = make_token();
  for (const TaskPlan& plan : plan_tasks(options)) tasks_.emplace_back(plan, sinks_, tasks_.size(), options.name_lines);
}

int Launcher::run() {
  block_signals();
  raise_file_limit();  // programs get the old one back
  adopt_orphans();     // whatever happens to the agent of this host, its tasks come here
  connect();
  while (phase_ != Phase::kReporting || sinks_.output->queued() + sinks_.errors->queued() > 0) {
    wait();
    take_signals();
    check_sinks();
    check_times();
    advance();
  }
  const int printed = sinks_.output->error() ? 1 : 0;  // what tasks said is lost: as all commands
  return exit_code_.value_or(stop_signal_ ? 128 + stop_signal_ : printed);
}

void Launcher::block_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGTTOU, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals, signal);
  struct sigaction hangup;
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);  // nohup
  // An ignored signal never comes, and a shell ignores SIGINT for what it starts in the background.
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGCHLD, SIG_DFL);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_ = Fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.open()) throw_errno("cannot wait for signals");
}

void Launcher::connect() {
  connect_until_ = Clock::now() + kConnectLimit;
  if (options_.hosts.empty()) {
    start_local_agent(&hosts_.emplace_back());
    return;
  }
  for (const std::string& name : options_.hosts) {
    Host& host = hosts_.emplace_back();
    host.name = name;
    host.error_lines.emplace(sinks_.errors, sinks_.errors->prefix("host " + name, 0), &host.error_tail);
    start_remote_agent(options_, &host);
  }
}

int Launcher::timeout() const {
  const auto now = Clock::now();
  auto next = now + (phase_ == Phase::kClosing ? milliseconds(50) : milliseconds(1000));
  for (const Task& task : tasks_)
    if (task.started + kLeastServing > now) next = std::min(next, task.started + kLeastServing);
  for (const Host& host : hosts_)
    if (host.end_at && !host.lost) next = std::min(next, now + milliseconds(50));
  for (const Task& task : tasks_)
    if (task.restart_at) next = std::min(next, *task.restart_at);
  for (const auto& time : {kill_at_, force_at_})
    if (time) next = std::min(next, *time);
  return std::max(0, static_cast<int>(std::chrono::duration_cast<milliseconds>(next - now).count()) + 1);
}

void Launcher::wait() {
  std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}};
  for (const auto& sink : {sinks_.output, sinks_.errors}) fds.push_back({sink->queued() ? sink->fd() : -1, POLLOUT, 0});
  const bool pauses = this->pauses();
  for (Host& host : hosts_) {
    fds.push_back({pauses ? -1 : host.channel.in(), POLLIN, 0});
    fds.push_back({host.channel.queued() ? host.channel.out() : -1, POLLOUT, 0});
    fds.push_back({pauses ? -1 : host.errors.get(), POLLIN, 0});
  }
  if (::poll(fds.data(), fds.size(), timeout()) < 0 && errno != EINTR) throw_errno("cannot wait for tasks");
  if (fds[1].revents) sinks_.output->flush();
  if (fds[2].revents && sinks_.errors != sinks_.output) sinks_.errors->flush();
  size_t at = 3;
  for (Host& host : hosts_) {
    if (fds[at].revents) read_host(&host);
    if (fds[at + 2].revents) read_host_errors(&host);
    host.channel.flush();
    at += 3;
  }
}

void Launcher::take_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const auto signal = static_cast<int>(info.ssi_signo);
    if (signal != SIGCHLD) take_signal(signal);
  }
  reap();
}

void Launcher::take_signal(int signal) {
  const auto now = Clock::now();
  if (stop_signal_ && now - stop_signal_at_ < kSameRequest) return;
  const bool again = stop_signal_ != 0;
  if (!again) {
    stop_signal_ = signal;
    stop_signal_at_ = now;
  }
  if (phase_ == Phase::kReporting) {  // nobody reads what is left
    sinks_.output->discard();
    sinks_.errors->discard();
  } else if (again && phase_ == Phase::kClosing) {
    force_at_ = now;
  } else if (again) {
    say(signal_name(signal) + " again: killing " + live_names());
    kill_all();
  } else if (phase_ == Phase::kConnecting) {
    say(signal_name(signal) + ": nothing was started yet");
    close_hosts();
  } else if (phase_ != Phase::kClosing) {
    say(fmt::format("{}: asking {} to end; after {} s, or at the next signal, what is left is killed",
                    signal_name(signal), running_names(), options_.grace_secs));
    begin_stop(signal == SIGINT ? SIGINT : SIGTERM);
  }
}

void Launcher::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
    for (Host& host : hosts_)
      if (host.pid == pid) host.status = status;
  for (Host& host : hosts_) watch_host(&host);
}

void Launcher::check_sinks() {
  const int error = sinks_.output->error();
  if (error == 0 || warned_of_output_) return;
  warned_of_output_ = true;
  if (error == EPIPE && (phase_ == Phase::kRunning || phase_ == Phase::kRestarting)) {
    fail("nobody reads standard output any more (its pipe was closed)", 128 + SIGPIPE);
  } else if (error != EPIPE) {
    say(std::string("cannot write to standard output: ") + std::strerror(error) + "; what tasks print there is lost");
  }
}

void Launcher::check_times() {
  const auto now = Clock::now();
  if (phase_ == Phase::kConnecting && now > connect_until_) {
    for (const Host& host : hosts_)
      if (!host.ready && !exit_code_) fail(fmt::format("host '{}' did not answer within 60 s", host.name), 1);
  }
  if (now >= next_ping_) {
    next_ping_ = now + kPingEvery;
    for (Host& host : hosts_)
      if (host.is_remote() && host.ready) host.channel.send(MessageType::kPing);
  }
  if (kill_at_ && now >= *kill_at_) {
    if (!all_gone()) say(live_names() + " did not end within the grace: killed");
    kill_all();
  }
  if (force_at_ && now >= *force_at_) {
    force_at_.reset();
    for (const Host& host : hosts_)
      if (!host.status) ::kill(host.pid, SIGKILL);
  }
  start_due_tasks();
}

void Launcher::advance() {
  const auto of_workers = [this](auto&& test) {
    return std::all_of(tasks_.begin(), tasks_.end(),
                       [&](const Task& task) { return task.plan.job != "worker" || test(task); });
  };
  if (phase_ == Phase::kConnecting &&
      std::all_of(hosts_.begin(), hosts_.end(), [](const Host& h) { return h.ready; })) {
    phase_ = Phase::kRunning;
    start_all();
  }
  if (phase_ == Phase::kRunning && of_workers([](const Task& task) { return task.succeeded(); })) end_servers();
  if (phase_ == Phase::kRestarting && all_gone()) {
    phase_ = Phase::kRunning;
    kill_at_.reset();
    force_at_.reset();
    start_all();
  }
  if (phase_ == Phase::kStopping && all_gone()) close_hosts();
  if (phase_ == Phase::kClosing && std::all_of(hosts_.begin(), hosts_.end(), [](const Host& h) { return h.lost; })) {
    end_descendants(0);
    report();
    phase_ = Phase::kReporting;
  }
}

// Parameter servers serve until they are told. One that was started this moment may be a program that ends by itself.
void Launcher::end_servers() {
  const bool young = std::any_of(tasks_.begin(), tasks_.end(), [](const Task& task) {
    return task.is_live() && Clock::now() - task.started < kLeastServing;
  });
  if (!young) begin_stop(SIGTERM);
}

void Launcher::close_hosts() {
  phase_ = Phase::kClosing;
  kill_at_.reset();
  force_at_ = Clock::now() + kForceAfter;
  for (Host& host : hosts_) {
    host.channel.finish_sending();
    if (!host.ready && !host.status && host.is_remote()) ::kill(host.pid, SIGTERM);  // ssh, still connecting
  }
}

void Launcher::report() {
  if (!failed_) return;
  std::string text = describe(*failed_) + " failed first: " + outcome(*failed_);
  if (failed_->tail.lines().empty()) {
    say(text + "; it printed nothing");
    return;
  }
  text += "; its last lines:";
  for (const std::string& line : failed_->tail.lines()) text += "\n  | " + line;
  say(text);
}

void Launcher::say(const std::string& text) { sinks_.errors->add("mox launch: " + printable(text) + "\n"); }

int launch(const Options& options) { return Launcher(options).run(); }

}  // namespace mox::launch
