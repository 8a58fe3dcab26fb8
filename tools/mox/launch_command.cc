// mox launch
#include <algorithm>

#include "base/limits.h"
#include "command.h"
#include "command_line.h"
#include "launch/agent.h"
#include "launch/launcher.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

constexpr char kDescription[] =
    "Starts the processes of a cluster: mox launch --workers=N [--ps=M] [OPTIONS] -- PROGRAM [ARGUMENTS]\n\n"
    "PROGRAM is mox, python or any other; it learns its place from TF_CONFIG, mox train also from the flags "
    "--ps_hosts, "
    "--worker_hosts, --job_name and --task_index. Each line of output comes with its task before it. SIGINT (Ctrl-C), "
    "SIGTERM and the first failure end all tasks: they are asked, and killed after --grace_secs or at a second signal. "
    "Exit code: 0, the one of the first failure, or 128 + the signal.";

launch::PassFlags pass_flags_of(const std::string& text) {
  return text == "on" ? launch::PassFlags::kOn : text == "off" ? launch::PassFlags::kOff : launch::PassFlags::kAuto;
}

}  // namespace

int run_launch(const std::vector<std::string>& args) {
  if (args == std::vector<std::string>{"--agent"}) return launch::run_remote_agent();
  launch::Options options;
  std::string hosts, pass_flags = "auto";
  int64_t gpus = 0;
  CommandLine line(kDescription, "mox launch");
  line.number("--workers", options.workers, {1, launch::kMaxTasks},
              "worker processes, all hosts together; worker 0 is the chief");
  line.number("--ps", options.ps, {0, launch::kMaxTasks},
              "parameter server processes; they are ended when all workers are done")
      .show_default();
  const Option with_gpus = line.number("--gpus_per_worker", gpus, {0, kMaxDevices},
                                       "devices of each worker, by CUDA_VISIBLE_DEVICES; ps get none");
  line.number("--threads_per_worker", options.threads_per_worker, {0, kMaxThreads},
              "OMP_NUM_THREADS, TF_NUM_INTRAOP_THREADS and mox's --num_intra_threads; 0: not set");
  const Option with_hosts =
      line.option("--hosts", hosts, "NAME,USER@NAME,…: start there, by ssh; not given: on this host, without ssh");
  line.option("--ssh_command", options.ssh_command, "what stands for ssh, with its options").show_default();
  line.option("--remote_mox", options.remote_mox, "mox's path on the hosts; not given: this one's, else mox in PATH");
  line.number("--restarts", options.restarts, {0, launch::kMaxRestarts},
              "how often each task that failed is started again")
      .show_default();
  line.flag("--restart_all", options.restart_all, "after a failure all tasks are started again, --restarts times");
  line.number("--grace_secs", options.grace_secs, {0, launch::kMaxGraceSecs}, "seconds from asking to killing")
      .show_default();
  line.option("--cluster_file", options.cluster_file, "JSON: job_name, task_index, address and pid of each process");
  line.option("--directory", options.directory, "where tasks run; not given: the current folder's path");
  line.option("--env", options.environment, "NAME=VALUE or NAME (as here), for all tasks; may be given several times");
  line.option("--pass_flags", pass_flags,
              "the flags of the cluster behind the command: on, off; auto: for mox train, eval, predict, export")
      .one_of({"auto", "on", "off"})
      .show_default();
  line.flag("--release_ports", options.release_ports,
            "for servers that set neither SO_REUSEADDR nor SO_REUSEPORT: see docs/distributed.md");
  const auto end = std::find(args.begin(), args.end(), "--");
  const bool help =
      std::any_of(args.begin(), end, [](const std::string& word) { return word == "--help" || word == "-h"; });
  if (end == args.end() && !help)
    throw InvalidArgumentError("there is no -- before a program; expected mox launch [OPTIONS] -- PROGRAM [ARGUMENTS]");
  if (const int code = line.parse({args.begin(), end}); code >= 0) return code;
  options.command.assign(end + 1, args.end());
  options.pass_flags = pass_flags_of(pass_flags);
  if (with_gpus.given()) options.gpus_per_worker = gpus;
  if (with_hosts.given()) options.hosts = launch::split_hosts(hosts);
  for (std::string& entry : options.environment) entry = launch::environment_entry(entry);
  return launch::launch(options);
}

}  // namespace mox::cli
