// What happens to tasks.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "launch/launcher_impl.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

constexpr auto kForceAfter = std::chrono::seconds(4);  // after a kill: then its host is given up
constexpr size_t kNamesTold = 8;

// Before the Nth restart: none, then 1, 2, 4 … 30 seconds. What failed for want of something gets time to find it.
std::chrono::seconds pause_before(int64_t restart) {
  return std::chrono::seconds(restart <= 1 ? 0
                                           : std::min<int64_t>(30, int64_t{1} << std::min<int64_t>(restart - 2, 5)));
}

std::chrono::milliseconds milliseconds_of(double secs) {
  return std::chrono::milliseconds(static_cast<int64_t>(secs * 1000));
}

}  // namespace

void Launcher::start_all() {
  cluster_.workers.clear();
  cluster_.ps.clear();
  for (const Task& task : tasks_) (task.plan.job == "ps" ? cluster_.ps : cluster_.workers).push_back(task.address);
  const auto at = Clock::now() + pause_before(joint_restarts_);
  for (Task& task : tasks_) {
    task.state = TaskState::kWaiting;
    task.restart_at = at;
  }
  start_due_tasks();
}

void Launcher::start_due_tasks() {
  if (phase_ != Phase::kRunning) return;
  for (Task& task : tasks_) {
    if (!task.restart_at || Clock::now() < *task.restart_at) continue;
    task.restart_at.reset();
    start(&task);
  }
}

void Launcher::start(Task* task) {
  task->state = TaskState::kStarting;
  task->tail.clear();
  task->pid = 0;
  task->status = 0;
  task->started = Clock::now();
  if (hosts_[task->plan.host].lost) {
    task->trouble = "its host '" + hosts_[task->plan.host].name + "' is lost";
    task_gone(task);
    return fail(*task);
  }
  Body body;
  body.number(static_cast<uint64_t>(
      std::find_if(tasks_.begin(), tasks_.end(), [&](const Task& t) { return &t == task; }) - tasks_.begin()));
  body.texts(command_of(options_, task->plan, cluster_)).texts(environment_of(options_, task->plan, cluster_));
  // On another host: where this process is here.
  const bool here = options_.directory.empty() && hosts_[task->plan.host].is_remote();
  body.text(here ? std::filesystem::current_path().string() : options_.directory).number(options_.release_ports);
  hosts_[task->plan.host].channel.send(MessageType::kStart, body.take());
}

void Launcher::take_task_message(const Message& message) {
  BodyReader body(message.body);
  const uint64_t id = body.number();
  if (id >= tasks_.size()) throw Error(fmt::format("an agent speaks of task {}, there are {}", id, tasks_.size()));
  Task& task = tasks_[id];
  switch (message.type) {
    case MessageType::kStdout:
      task.output.add(body.rest());
      break;
    case MessageType::kStderr:
      task.errors.add(body.rest());
      break;
    case MessageType::kStarted:
      task.state = TaskState::kRunning;
      task.pid = static_cast<int64_t>(body.number());
      write_cluster_file();
      break;
    case MessageType::kRefused:
      task.status = static_cast<int>(body.number()) << 8;
      task.trouble = body.text();
      task_gone(&task);
      if (phase_ == Phase::kRunning) fail(task);
      break;
    case MessageType::kEnded:
      task_ended(&task, static_cast<int>(body.number()));
      break;
    case MessageType::kGone:
      task_gone(&task);
      break;
    default:
      throw Error("an agent sent what this version of mox launch does not know");
  }
}

void Launcher::task_ended(Task* task, int status) {
  task->state = TaskState::kEnded;
  task->ended = Clock::now();
  task->status = status;
  if (status == 0 || phase_ != Phase::kRunning) return;
  if (options_.restart_all && joint_restarts_ < options_.restarts) {
    ++joint_restarts_;
    say(fmt::format("{} failed: {}; all tasks are started again (restart {} of {})", describe(*task), outcome(*task),
                    joint_restarts_, options_.restarts));
    begin_stop(SIGTERM);
    phase_ = Phase::kRestarting;
    return;
  }
  if (options_.restart_all || task->restarts >= options_.restarts) return fail(*task);
  ++task->restarts;
  say(fmt::format("{} failed: {}; it is started again (restart {} of {})", describe(*task), outcome(*task),
                  task->restarts, options_.restarts));
  task->restart_at = Clock::time_point::max();  // when it is gone
}

void Launcher::task_gone(Task* task) {
  task->output.finish();
  task->errors.finish();
  if (task->state != TaskState::kEnded) task->ended = Clock::now();
  task->state = TaskState::kGone;
  if (task->restart_at) task->restart_at = Clock::now() + pause_before(task->restarts);
}

void Launcher::fail(const Task& task) {
  failed_ = &task;
  fail(describe(task) + " failed: " + outcome(task),
       task.trouble.empty() || task.status != 0 ? exit_code_of(task.status) : 1);
}

void Launcher::fail(const std::string& text, int exit_code) {
  if (!exit_code_) exit_code_ = exit_code;
  const std::string others = running_names();
  say(others == "nothing" ? text
                          : fmt::format("{}; asking {} to end (SIGTERM), what is left after {} s is killed", text,
                                        others, options_.grace_secs));
  if (phase_ == Phase::kConnecting)
    close_hosts();
  else
    begin_stop(SIGTERM);
}

void Launcher::begin_stop(int signal) {
  phase_ = Phase::kStopping;
  const auto grace = milliseconds_of(options_.grace_secs);
  if (!kill_at_) kill_at_ = Clock::now() + grace;
  for (size_t id = 0; id < tasks_.size(); ++id) {
    Task& task = tasks_[id];
    task.restart_at.reset();
    if (!task.is_live()) continue;
    hosts_[task.plan.host].channel.send(
        MessageType::kStop,
        Body().number(id).number(static_cast<uint64_t>(signal)).number(static_cast<uint64_t>(grace.count())).take());
  }
}

void Launcher::kill_all() {
  kill_at_.reset();
  force_at_ = Clock::now() + kForceAfter;
  if (phase_ != Phase::kRestarting) {
    sinks_.output->drop_when_full();
    sinks_.errors->drop_when_full();
  }
  for (size_t id = 0; id < tasks_.size(); ++id)
    if (tasks_[id].is_live()) hosts_[tasks_[id].plan.host].channel.send(MessageType::kKill, Body().number(id).take());
}

void Launcher::write_cluster_file() {
  if (!cluster_file_.is_wanted()) return;
  std::vector<ClusterEntry> entries;
  for (const Task& task : tasks_) {
    if (task.pid == 0) return;  // soon
    const Host& host = hosts_[task.plan.host];
    entries.push_back({task.plan.job, task.plan.index, task.address, task.pid, host.name});
  }
  try {
    cluster_file_.write(entries);
  } catch (const Error& e) {
    if (phase_ == Phase::kRunning) fail(e.what(), 1);
  }
}

bool Launcher::all_gone() const {
  return std::none_of(tasks_.begin(), tasks_.end(), [](const Task& task) { return task.is_live(); });
}

std::string Launcher::names_of(bool (*wanted)(const Task&)) const {
  std::string names;
  size_t count = 0;
  for (const Task& task : tasks_)
    if (wanted(task) && ++count <= kNamesTold) names += (names.empty() ? "" : ", ") + task.plan.name();
  if (count > kNamesTold) names += fmt::format(" and {} more", count - kNamesTold);
  return names.empty() ? "nothing" : names;
}

std::string Launcher::running_names() const {
  return names_of([](const Task& task) { return task.is_live() && task.state != TaskState::kEnded; });
}

std::string Launcher::live_names() const {
  return names_of([](const Task& task) { return task.is_live(); });
}

std::string Launcher::describe(const Task& task) const {
  const Host& host = hosts_[task.plan.host];
  return fmt::format("{}{} ({}{})", task.plan.name(), host.is_remote() ? " on host '" + host.name + "'" : "",
                     task.address, task.pid ? fmt::format(", pid {}", task.pid) : "");
}

std::string Launcher::outcome(const Task& task) const {
  if (!task.trouble.empty()) return task.trouble;
  const std::chrono::duration<double> ran = task.ended - task.started;
  return fmt::format("{} after {:.1f} s", describe_status(task.status), ran.count());
}

}  // namespace mox::launch
