#include "launch/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <optional>

#include "launch/ports.h"
#include "launch/processes.h"
#include "launch/task_process.h"
#include "launch/wire.h"
#include "moxing/error.h"
#include "moxing/version.h"

namespace mox::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kMaxQueued = 1 << 20;  // bytes of output that wait for the launcher; programs wait beyond that
constexpr auto kSweepEvery = milliseconds(30);
constexpr auto kReapEvery = seconds(1);
constexpr auto kSilence = seconds(60);  // from a launcher on another host, which pings every five
constexpr int kLeftoversGrace = 2000;   // milliseconds, for what left its task's session

struct Task {
  TaskProcess process;
  bool ended = false;
};

class Agent {
 public:
  Agent(Fd in, Fd out, AgentPlace place) : channel_(std::move(in), std::move(out)), place_(place) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTTOU, SIGTSTP, SIGQUIT})
      sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // the launcher decides what a signal means
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signals_ = Fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_.open()) throw_errno("cannot wait for processes");
    adopt_orphans();
    raise_file_limit();
  }

  int run() {
    channel_.send(MessageType::kHello, Body().text(version()).number(static_cast<uint64_t>(::getpid())).take());
    while (connected_ || !tasks_.empty()) {
      running_.reset();
      wait();
      watch_tasks();
      channel_.flush();
    }
    end_descendants(kLeftoversGrace);
    return 0;
  }

 private:
  void wait();
  int timeout() const;
  void take_messages();
  void take(const Message& message);
  void reserve(BodyReader* body);
  void start(uint64_t id, BodyReader* body);
  void lose_launcher();
  void watch_tasks();
  void reap();
  const std::vector<ProcessInfo>& running();
  void pass_output(uint64_t id, Fd* from, MessageType type, bool all);

  Channel channel_;
  AgentPlace place_;
  Fd signals_;
  bool connected_ = true, child_ended_ = false, orphan_ended_ = false;
  std::optional<std::vector<ProcessInfo>> running_;  // read when first asked for in a turn of the loop
  Clock::time_point heard_ = Clock::now(), reaped_ = Clock::now();
  Clock::duration grace_ = seconds(10);
  std::map<uint64_t, Task> tasks_;
  std::map<uint64_t, HeldPort> ports_;
};

int Agent::timeout() const {
  auto next = Clock::now() + seconds(5);
  for (const auto& [id, task] : tasks_) {
    if (task.ended) next = std::min(next, Clock::now() + kSweepEvery);
    if (const auto deadline = task.process.deadline())
      next = std::min(next, std::max(*deadline, Clock::now() + kSweepEvery));
  }
  return static_cast<int>(std::chrono::duration_cast<milliseconds>(next - Clock::now()).count()) + 1;
}

void Agent::wait() {
  std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}};
  if (connected_) fds.push_back({channel_.in(), POLLIN, 0});
  if (channel_.queued() > 0) fds.push_back({channel_.out(), POLLOUT, 0});
  std::map<int, std::pair<uint64_t, MessageType>> outputs;
  if (channel_.queued() < kMaxQueued) {
    for (auto& [id, task] : tasks_) {
      if (task.process.output().open()) outputs[task.process.output().get()] = {id, MessageType::kStdout};
      if (task.process.errors().open()) outputs[task.process.errors().get()] = {id, MessageType::kStderr};
    }
  }
  for (const auto& [fd, source] : outputs) fds.push_back({fd, POLLIN, 0});
  if (::poll(fds.data(), fds.size(), timeout()) < 0 && errno != EINTR) throw_errno("cannot wait for tasks");
  for (const pollfd& fd : fds) {
    if (!fd.revents) continue;
    if (fd.fd == signals_.get()) {
      signalfd_siginfo info;
      while (::read(signals_.get(), &info, sizeof info) > 0) child_ended_ = orphan_ended_ = true;
    } else if (const auto source = outputs.find(fd.fd); source != outputs.end()) {
      Task& task = tasks_.at(source->second.first);
      const bool errors = source->second.second == MessageType::kStderr;
      pass_output(source->second.first, errors ? &task.process.errors() : &task.process.output(), source->second.second,
                  false);
    } else if (connected_ && fd.fd == channel_.in()) {
      take_messages();
    }
  }
  if (connected_ && place_ == AgentPlace::kOtherHost && Clock::now() - heard_ > kSilence) lose_launcher();
}

void Agent::take_messages() {
  std::vector<Message> messages;
  bool more = false;
  try {
    more = channel_.receive(&messages, nullptr);
    for (const Message& message : messages) take(message);
  } catch (const Error& e) {  // no port is left, or what speaks here is no launcher
    std::fprintf(stderr, "mox launch: the agent ends: %s\n", e.what());
    more = false;
  }
  heard_ = Clock::now();
  if (!more) lose_launcher();
}

// Nobody is there who could hear more: tasks may save what they have, and end.
void Agent::lose_launcher() {
  connected_ = false;
  channel_.close();
  ports_.clear();
  for (auto& [id, task] : tasks_) task.process.ask(SIGTERM, grace_, running());
}

void Agent::take(const Message& message) {
  BodyReader body(message.body);
  if (message.type == MessageType::kReserve) return reserve(&body);
  if (message.type == MessageType::kPing) return;
  const uint64_t id = body.number();
  if (message.type == MessageType::kStart) return start(id, &body);
  const auto task = tasks_.find(id);
  if (task == tasks_.end()) return;  // it ended meanwhile
  if (message.type == MessageType::kKill) task->second.process.kill_now(running());
  if (message.type == MessageType::kStop) {
    const auto signal = static_cast<int>(body.number());
    task->second.process.ask(signal, milliseconds(body.number()), running());
  }
}

void Agent::reserve(BodyReader* body) {
  grace_ = milliseconds(body->number());
  const uint64_t count = body->number();
  Body ports;
  ports.number(count);
  for (uint64_t i = 0; i < count; ++i) {
    const HeldPort& port = ports_.try_emplace(body->number()).first->second;
    ports.number(static_cast<uint64_t>(port.port()));
  }
  channel_.send(MessageType::kPorts, ports.take());
}

void Agent::start(uint64_t id, BodyReader* body) {
  StartRequest request;
  request.command = body->texts();
  request.environment = body->texts();
  request.directory = body->text();
  const bool release = body->number() != 0;
  if (const auto port = ports_.find(id); release && port != ports_.end()) port->second.release();
  StartFailure failure;
  try {
    if (auto process = TaskProcess::start(request, &failure)) {
      const auto pid = static_cast<uint64_t>(process->pid());
      tasks_.insert_or_assign(id, Task{std::move(*process)});
      channel_.send(MessageType::kStarted, Body().number(id).number(pid).take());
      return;
    }
  } catch (const Error& e) {
    failure = {126, e.what()};
  }
  const auto code = static_cast<uint64_t>(failure.exit_code);
  channel_.send(MessageType::kRefused, Body().number(id).number(code).text(failure.why).take());
}

// What can be read now: one piece, or `all`.
void Agent::pass_output(uint64_t id, Fd* from, MessageType type, bool all) {
  char buffer[1 << 16];
  // A pipe holds at most a megabyte, unless one goes on writing that nobody can find.
  for (int pieces = all ? 32 : 1; pieces > 0 && from->open(); --pieces) {
    const ssize_t size = ::read(from->get(), buffer, sizeof buffer);
    if (size > 0) channel_.send(type, Body().number(id).raw({buffer, static_cast<size_t>(size)}).take());
    if (size < 0 && errno != EINTR) break;
    if (size == 0) from->reset();
  }
}

const std::vector<ProcessInfo>& Agent::running() {
  if (!running_) running_ = all_processes();
  return *running_;
}

void Agent::watch_tasks() {
  for (auto& [id, task] : tasks_) {
    if (!child_ended_ || task.ended) continue;
    const auto status = task.process.status();
    if (!status) continue;
    task.ended = true;
    running_.reset();  // what was read before knows nothing of what it left behind
    channel_.send(MessageType::kEnded, Body().number(id).number(static_cast<uint64_t>(*status)).take());
  }
  child_ended_ = false;
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    auto& [id, task] = *it;
    if (task.process.is_overdue()) task.process.kill_now(running());
    if (!task.ended || !task.process.sweep(grace_, running())) {
      ++it;
      continue;
    }
    // What is in the pipes now is all that comes: a process that left the session may hold them open for long.
    pass_output(id, &task.process.output(), MessageType::kStdout, true);
    pass_output(id, &task.process.errors(), MessageType::kStderr, true);
    channel_.send(MessageType::kGone, Body().number(id).take());
    it = tasks_.erase(it);
  }
  reap();
}

void Agent::reap() {
  if (!orphan_ended_ || Clock::now() - reaped_ < kReapEvery) return;
  std::vector<pid_t> leaders;
  for (const auto& [id, task] : tasks_) leaders.push_back(task.process.pid());
  reap_orphans(leaders);
  reaped_ = Clock::now();
  orphan_ended_ = false;
}

}  // namespace

int run_agent(Fd in, Fd out, AgentPlace place) { return Agent(std::move(in), std::move(out), place).run(); }

int run_remote_agent() {
  Fd in(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)), out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!in.open() || !out.open() || !null.open()) throw_errno("cannot use standard input and output");
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);  // nothing but messages goes through the connection
  return run_agent(std::move(in), std::move(out), AgentPlace::kOtherHost);
}

}  // namespace mox::launch
