#include "launch/options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "launch/plan.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

Options good() {
  Options options;
  options.workers = 2;
  options.command = {"sh", "-c", "true"};
  return options;
}

std::string error_of(const std::function<void(Options*)>& change) {
  Options options = good();
  change(&options);
  try {
    check_options(options);
    check_gpus(options);
  } catch (const InvalidArgumentError& e) {
    return e.what();
  }
  return "no error";
}

std::string placed(Options options) {
  std::string text;
  for (const TaskPlan& task : plan_tasks(options))
    text += task.job.substr(0, 1) + std::to_string(task.index) + "@" + std::to_string(task.host) + "." +
            std::to_string(task.on_host) + " ";
  return text;
}

std::string value_in(const std::vector<std::string>& entries, const std::string& name) {
  std::string value = "not set";
  for (const std::string& entry : entries)
    if (entry.starts_with(name + "=")) value = entry.substr(name.size() + 1);
  return value;
}

TEST(LaunchOptions, WhatCannotWorkIsToldBefore) {
  EXPECT_EQ(error_of([](Options*) {}), "no error");
  EXPECT_EQ(error_of([](Options* o) { o->workers = -1; }), "--workers is -1, expected an integer from 1 to 1024");
  EXPECT_NE(error_of([](Options* o) { o->workers = 0; }).find("--workers is missing"), std::string::npos);
  EXPECT_EQ(error_of([](Options* o) { o->ps = 99999; }), "--ps is 99999, expected an integer from 0 to 1024");
  EXPECT_NE(error_of([](Options* o) { o->grace_secs = -1; }).find("--grace_secs is -1"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->grace_secs = std::nan(""); }).find("--grace_secs"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->restarts = -2; }).find("--restarts is -2"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->command.clear(); }).find("there is no program"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->command = {"no-such-program"}; }).find("no program 'no-such-program' in PATH"),
            std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->command = {"/etc/passwd"}; }).find("no program that can be started"),
            std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->command = {"/etc"}; }).find("no program that can be started"),
            std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->directory = "/no/such"; }).find("--directory"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->environment = {"TF_CONFIG=x"}; }).find("TF_CONFIG"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->restart_all = true; }).find("--restarts"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->hosts = {"a", "b", "c"}; }).find("3 hosts for 2 tasks"), std::string::npos);
  EXPECT_NE(error_of([](Options* o) { o->hosts = {"a", "a"}; }).find("twice"), std::string::npos);
  for (const char* host : {"-oProxyCommand=x", "a b", "", "a;b", "a\nb", "$(x)", "u@"})
    EXPECT_NE(error_of([&](Options* o) { o->hosts = {host}; }).find("no host name"), std::string::npos) << host;
  EXPECT_THROW(split_hosts("a,,b"), InvalidArgumentError);
  EXPECT_THROW(split_hosts(""), InvalidArgumentError);
  EXPECT_EQ(split_hosts("u@a,10.0.0.2"), (std::vector<std::string>{"u@a", "10.0.0.2"}));
}

TEST(LaunchOptions, Environment) {
  ::setenv("MOX_LAUNCH_TEST", "a b", 1);
  EXPECT_EQ(environment_entry("MOX_LAUNCH_TEST"), "MOX_LAUNCH_TEST=a b");
  EXPECT_EQ(environment_entry("X=1=2"), "X=1=2");
  EXPECT_EQ(environment_entry("X="), "X=");
  EXPECT_THROW(environment_entry("=1"), InvalidArgumentError);
  EXPECT_THROW(environment_entry("MOX_NOT_SET_ANYWHERE"), InvalidArgumentError);
}

TEST(LaunchPlan, TasksAreSpreadInBlocks) {
  Options options = good();
  EXPECT_EQ(placed(options), "w0@0.0 w1@0.1 ");
  options.hosts = {"a", "b", "c"};
  options.workers = 4;
  options.ps = 2;
  EXPECT_EQ(placed(options), "w0@0.0 w1@0.1 w2@1.0 w3@2.0 p0@0.0 p1@1.0 ");
  options.workers = 0;
  options.ps = 0;
  EXPECT_EQ(placed(options), "w0@0.0 w1@1.0 w2@2.0 ") << "one a host";
  options.workers = 1;
  options.ps = 3;
  EXPECT_EQ(placed(options), "w0@0.0 p0@1.0 p1@2.0 p2@0.0 ") << "no host is left out";
}

TEST(LaunchPlan, Addresses) {
  Options options = good();
  EXPECT_EQ(address_of_host(options, 0), "127.0.0.1");
  options.hosts = {"user@node7", "fe80::1", "[::1]", "me@::2"};
  EXPECT_EQ(address_of_host(options, 0), "node7");
  EXPECT_EQ(address_of_host(options, 1), "[fe80::1]");
  EXPECT_EQ(address_of_host(options, 2), "[::1]");
  EXPECT_EQ(address_of_host(options, 3), "[::2]");
}

TEST(LaunchPlan, TaskLearnsItsPlace) {
  Options options = good();
  options.ps = 1;
  const Cluster cluster = {{"127.0.0.1:3"}, {"127.0.0.1:1", "127.0.0.1:2"}, "secret"};
  const auto entries = environment_of(options, {"worker", 1, 0, 1}, cluster);
  const auto config = nlohmann::json::parse(value_in(entries, "TF_CONFIG"));
  EXPECT_EQ(config,
            nlohmann::json::parse(R"({"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"], "ps": ["127.0.0.1:3"]},
                                              "task": {"type": "worker", "index": 1}})"));
  EXPECT_EQ(value_in(entries, "MOX_CLUSTER_TOKEN"), "secret");
  EXPECT_EQ(value_in(entries, "CUDA_VISIBLE_DEVICES"), "not set");
  EXPECT_EQ(value_in(entries, "OMP_NUM_THREADS"), "not set");
}

TEST(LaunchPlan, FlagsAreForMoxOrWhereAsked) {
  Options options = good();
  const Cluster cluster = {{"p:3"}, {"w:1", "w:2"}, "secret"};
  const TaskPlan worker{"worker", 1, 0, 1}, ps{"ps", 0, 0, 0};
  EXPECT_EQ(command_of(options, worker, cluster), options.command);
  options.pass_flags = PassFlags::kOn;
  EXPECT_EQ(command_of(options, ps, cluster),
            (std::vector<std::string>{"sh", "-c", "true", "--ps_hosts=p:3", "--worker_hosts=w:1,w:2", "--job_name=ps",
                                      "--task_index=0"}));
  options.pass_flags = PassFlags::kAuto;
  options.gpus_per_worker = 2;
  options.threads_per_worker = 3;
  options.command = {"/usr/bin/mox", "train", "--num_gpus=1"};
  const auto command = command_of(options, worker, cluster);
  EXPECT_EQ(std::set<std::string>(command.begin() + 3, command.end()),
            (std::set<std::string>{"--ps_hosts=p:3", "--worker_hosts=w:1,w:2", "--job_name=worker", "--task_index=1",
                                   "--num_intra_threads=3"}))
      << "--num_gpus is the user's";
  options.command = {"mox", "file", "ls"};
  EXPECT_EQ(command_of(options, worker, cluster), options.command);
  options.command = {"mox", "train"};
  options.pass_flags = PassFlags::kOff;
  EXPECT_EQ(command_of(options, worker, cluster), options.command);
}

TEST(LaunchPlan, GpusAndThreads) {
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  Options options = good();
  options.gpus_per_worker = 2;
  options.threads_per_worker = 3;
  const auto entries = environment_of(options, {"worker", 1, 0, 1}, {});
  EXPECT_EQ(value_in(entries, "CUDA_VISIBLE_DEVICES"), "2,3");
  EXPECT_EQ(value_in(entries, "OMP_NUM_THREADS"), "3");
  EXPECT_EQ(value_in(entries, "TF_NUM_INTRAOP_THREADS"), "3");
  EXPECT_EQ(value_in(environment_of(options, {"ps", 0, 0, 0}, {}), "CUDA_VISIBLE_DEVICES"), "");
  ::setenv("CUDA_VISIBLE_DEVICES", "7,5,GPU-a,1", 1);
  EXPECT_EQ(value_in(environment_of(options, {"worker", 1, 0, 1}, {}), "CUDA_VISIBLE_DEVICES"), "GPU-a,1");
  EXPECT_NE(error_of([](Options* o) {
              o->gpus_per_worker = 3;
            }).find("needs 6 devices for 2 workers, but CUDA_VISIBLE_DEVICES names 4"),
            std::string::npos);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  options.gpus_per_worker = 0;
  EXPECT_EQ(value_in(environment_of(options, {"worker", 0, 0, 0}, {}), "CUDA_VISIBLE_DEVICES"), "");
  options.environment = {"OMP_NUM_THREADS=9"};
  EXPECT_EQ(value_in(environment_of(options, {"worker", 0, 0, 0}, {}), "OMP_NUM_THREADS"), "9")
      << "--env is the last word";
}

TEST(LaunchPlan, TokensAreRandom) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) tokens.insert(make_token());
  EXPECT_EQ(tokens.size(), 100u);
  EXPECT_EQ(tokens.begin()->size(), 64u);
}

}  // namespace
}  // namespace mox::launch
