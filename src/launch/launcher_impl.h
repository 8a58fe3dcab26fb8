// The launcher's state. launcher.cc has the loop, signals and the end; launcher_tasks.cc what happens to tasks.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "launch/cluster_file.h"
#include "launch/host.h"
#include "launch/options.h"
#include "launch/output.h"
#include "launch/plan.h"
#include "launch/wire.h"

namespace mox::launch {

enum class TaskState { kWaiting, kStarting, kRunning, kEnded, kGone };

struct Task {
  TaskPlan plan;
  Tail tail;
  LineWriter output, errors;
  std::string address;
  TaskState state = TaskState::kWaiting;
  int64_t pid = 0;
  int64_t restarts = 0;
  Clock::time_point started{}, ended{};
  int status = 0;       // what waitpid said
  std::string trouble;  // why it could not start, or what became of its host
  std::optional<Clock::time_point> restart_at;

  // `named`: its lines have its name before them.
  Task(TaskPlan task_plan, const Sinks& sinks, size_t colour, bool named)
      : plan(std::move(task_plan)),
        output(sinks.output, named ? sinks.output->prefix(plan.name(), colour) : "", &tail),
        errors(sinks.errors, named ? sinks.errors->prefix(plan.name(), colour) : "", &tail) {}
  Task(const Task&) = delete;
  bool is_live() const { return state != TaskState::kWaiting && state != TaskState::kGone; }
  bool succeeded() const { return state == TaskState::kGone && status == 0 && trouble.empty(); }
};

class Launcher {
 public:
  explicit Launcher(const Options& options);
  int run();

 private:
  enum class Phase { kConnecting, kRunning, kRestarting, kStopping, kClosing, kReporting };

  // launcher.cc
  void block_signals();
  void connect();
  void wait();
  int timeout() const;
  void take_signals();
  void take_signal(int signal);
  void reap();
  void check_sinks();
  void check_times();
  void advance();
  void end_servers();
  void close_hosts();
  void report();
  void say(const std::string& text);
  bool pauses() const { return sinks_.output->blocks() || sinks_.errors->blocks(); }

  // launcher_hosts.cc
  void read_host(Host* host);
  void read_host_errors(Host* host);
  void take(Host* host, const Message& message);
  void take_ports(Host* host, BodyReader* body);
  void watch_host(Host* host);
  void lose_host(Host* host);

  // launcher_tasks.cc
  void start_all();
  void start(Task* task);
  void take_task_message(const Message& message);
  void task_ended(Task* task, int status);
  void task_gone(Task* task);
  void fail(const Task& task);
  void fail(const std::string& text, int exit_code);
  void begin_stop(int signal);
  void kill_all();
  void start_due_tasks();
  void write_cluster_file();
  bool all_gone() const;
  std::string running_names() const;  // "worker 0, ps 1"
  std::string live_names() const;     // also of those whose first process has ended, but not all that it started
  std::string names_of(bool (*wanted)(const Task&)) const;
  std::string describe(const Task& task) const;  // "worker 1 (127.0.0.1:4000, pid 77)"
  std::string outcome(const Task& task) const;   // "exit code 3 after 0.2 s"

  const Options options_;
  Sinks sinks_;
  ClusterFile cluster_file_;
  Cluster cluster_;
  std::deque<Task> tasks_;
  std::deque<Host> hosts_;
  Fd signals_;
  Phase phase_ = Phase::kConnecting;
  int stop_signal_ = 0;  // that the user sent
  Clock::time_point stop_signal_at_{};
  std::optional<Clock::time_point> kill_at_;   // the grace is over
  std::optional<Clock::time_point> force_at_;  // hosts that still have not ended by then are given up
  Clock::time_point connect_until_{}, next_ping_{};
  int64_t joint_restarts_ = 0;
  std::optional<int> exit_code_;  // of the first failure
  const Task* failed_ = nullptr;
  bool warned_of_output_ = false;
};

}  // namespace mox::launch
