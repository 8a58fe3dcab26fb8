// Clusters of real processes on loopback (ps_process.cc) against one process with a device for each worker: a training
// over parameter servers has its losses.
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "cluster/processes.h"
#include "exchange/exchange.h"
#include "exchange/parameter_server_exchange.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

extern char** environ;

namespace mox {
namespace {

using namespace mox::testing;

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

// A numbered row a step: loss, global step, staleness where there is one; a last one at the chief: the sum of the
// moving averages, and the global step.
using Rows = std::vector<std::vector<double>>;

class PsCluster {
 public:
  PsCluster(std::string test, int workers, int servers) : test_(std::move(test)) {
    const std::vector<std::string> addresses = cluster::free_addresses(workers + servers);
    ps_hosts_ = joined({addresses.begin(), addresses.begin() + servers});
    worker_hosts_ = joined({addresses.begin() + servers, addresses.end()});
    for (int i = 0; i < servers; ++i) servers_.push_back(start("ps", i));
    std::vector<pid_t> trained;
    for (int i = 0; i < workers; ++i) trained.push_back(start("worker", i));
    for (const pid_t pid : trained) wait(pid);
  }
  ~PsCluster() {
    for (const pid_t pid : servers_) ::kill(pid, SIGKILL);
    for (const pid_t pid : servers_) ::waitpid(pid, nullptr, 0);
  }

  Rows single() {
    wait(start("single", 0));
    return read("single_0");
  }
  Rows worker(int i) const { return read("worker_" + std::to_string(i)); }

 private:
  pid_t start(const std::string& role, int index) const {
    std::vector<std::string> args = {"ps_process",  role,  std::to_string(index), ps_hosts_,
                                     worker_hosts_, test_, folder_.path()};
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/ps_process";
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    pid_t pid = -1;
    EXPECT_EQ(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv.data(), environ), 0) << program;
    return pid;
  }
  static void wait(pid_t pid) {
    int status = 0;
    for (int tenths = 0; ::waitpid(pid, &status, WNOHANG) == 0; ++tenths) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (tenths < 1200) continue;
      ::kill(pid, SIGKILL);
      ADD_FAILURE() << "a process did not end within two minutes";
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  Rows read(const std::string& name) const {
    Rows rows;
    std::ifstream in(folder_.path(name));
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      rows.emplace_back(std::istream_iterator<double>(words), std::istream_iterator<double>());
    }
    return rows;
  }

  const std::string test_;
  TempDir folder_;
  std::string ps_hosts_, worker_hosts_;
  std::vector<pid_t> servers_;
};

void expect_losses_of_one(const std::string& test, int workers = 2, int servers = 1) {
  SCOPED_TRACE(test);
  PsCluster cluster(test, workers, servers);
  const Rows one = cluster.single();
  ASSERT_EQ(one.size(), 51u);
  std::vector<Rows> all;
  for (int i = 0; i < workers; ++i) all.push_back(cluster.worker(i));
  for (const Rows& rows : all) ASSERT_GE(rows.size(), 50u);
  for (size_t step = 0; step < 50; ++step) {
    double sum = 0;
    for (const Rows& rows : all) {
      sum += rows[step][0];
      EXPECT_EQ(rows[step][1], step + 1) << "the global step";
    }
    EXPECT_NEAR(sum / workers, one[step][0], 1e-5) << "step " << step;
  }
  EXPECT_NE(one[0][0], one[49][0]);
  ASSERT_EQ(all[0].size(), 51u);
  EXPECT_NEAR(all[0][50][0], one[50][0], 1e-4) << "moving averages";
  EXPECT_EQ(all[0][50][1], 50);
}

// What of a step's values goes from one process to the other, by the node that makes it.
std::set<std::string> sent(const BuiltGraph& graph, const std::string& from, const std::string& to) {
  std::map<std::string, const tensorflow::NodeDef*> nodes;
  for (const tensorflow::NodeDef& node : graph.graph.node()) nodes[node.name()] = &node;
  const auto name_of = [](const std::string& input) { return input.substr(0, input.find(':')); };
  std::set<std::string> names, seen(graph.train_ops.begin(), graph.train_ops.end());
  std::vector<std::string> stack(seen.begin(), seen.end());
  while (!stack.empty()) {
    const tensorflow::NodeDef& node = *nodes.at(stack.back());
    stack.pop_back();
    for (const std::string& input : node.input()) {
      const std::string source = name_of(input[0] == '^' ? input.substr(1) : input);
      if (seen.insert(source).second) stack.push_back(source);
      if (input[0] != '^' && nodes.at(source)->device().starts_with(from) && node.device().starts_with(to))
        names.insert(source);
    }
  }
  return names;
}

// Each transfer costs: averages go together, there and back, and what is sent is handed over as soon as it is there.
TEST(ParameterServers, SmallValuesTravelTogether) {
  for (const int task : {0, 1}) {
    RunConfig config{toy_options("", 1)};
    config.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
      Output x = inputs[0];
      for (const char* name : {"a", "b", "c"})
        x = layers::batch_norm(s, layers::fully_connected(s, x, 200, name, {}), name, {.is_training = true});
      return ModelSpec{.loss = Output(ops::Mean(s, ops::Square(s, ops::Sub(s, ops::Mean(s, x, 1), inputs[1])), 0))};
    };
    config.devices = DevicePlan(1, true).in_cluster(task, 1);
    std::vector<InputTensor> batch;
    BuiltGraph graph = build_run_graph(config, &batch);
    ParameterServerExchange exchange({.task = task, .workers = 2, .devices = config.devices});
    connect_gradients(&graph, &exchange, {});
    exchange.place(&graph);
    std::set<std::string> there = sent(graph, task_name("worker", task), task_name("ps", 0));
    EXPECT_EQ(there.count("mox_ps/moved_0"), task == 0 ? 1u : 0u) << "averages are the chief's";
    const auto is_gradient = [](const std::string& name) { return name.ends_with("/handed"); };
    EXPECT_EQ(std::count_if(there.begin(), there.end(), is_gradient), 3) << "two large ones, and the small ones";
    std::erase_if(there, [&](const std::string& name) { return is_gradient(name) || name.starts_with("Const"); });
    for (const char* known : {"mox_ps/moved_0", "mox_ps/arrived/one", "mox_ps/local_step/read"}) there.erase(known);
    EXPECT_EQ(there, std::set<std::string>());
    std::set<std::string> back = sent(graph, task_name("ps", 0), task_name("worker", task));
    EXPECT_EQ(back.count("mox_ps/pulled_0"), 1u);
    for (const std::string& name : back) EXPECT_EQ(name.find("moving"), std::string::npos) << name;
    EXPECT_LE(back.size(), 6u) << "two large weights, the small ones, and the step";
  }
}

TEST(ParameterServers, LossesAreThoseOfOneProcess) { expect_losses_of_one("plain"); }
TEST(ParameterServers, FourWorkersOnTwoServers) { expect_losses_of_one("plain", 4, 2); }
TEST(ParameterServers, TwoDevicesEach) { expect_losses_of_one("two_devices"); }
TEST(ParameterServers, MovingAveragesAreTheChiefs) { expect_losses_of_one("batch_norm"); }
TEST(ParameterServers, WorkersWithCopies) { expect_losses_of_one("copies_two_devices_batch_norm", 2, 2); }
TEST(ParameterServers, WorkersWithCopiesInSomeSteps) {
  expect_losses_of_one("tries_two_devices", 2, 2);
  expect_losses_of_one("tries_dynamic_clip_norm");
}
TEST(ParameterServers, WorkersWithCopiesAndAllElse) {
  expect_losses_of_one("copies_two_devices_dynamic_clip_norm_lars");
  expect_losses_of_one("copies_two_losses_batch_gradients_dgc_two_devices_fp16");
}
TEST(ParameterServers, Adam) { expect_losses_of_one("adam", 2, 2); }
TEST(ParameterServers, TwoLosses) { expect_losses_of_one("two_losses"); }
TEST(ParameterServers, LarsAndFp16) { expect_losses_of_one("lars_fp16"); }
TEST(ParameterServers, GradientClip) {
  expect_losses_of_one("clip_norm");
  expect_losses_of_one("clip_each");
}
TEST(ParameterServers, DynamicLossScale) { expect_losses_of_one("dynamic_clip_norm", 2, 2); }
TEST(ParameterServers, AStepThatOneSkipsIsSkippedByAll) { expect_losses_of_one("dynamic_overflow"); }
TEST(ParameterServers, BatchGradients) {
  expect_losses_of_one("batch_gradients");
  expect_losses_of_one("batch_gradients_on_apply");
}
TEST(ParameterServers, DgcKeepsItsResidueAtEachWorker) { expect_losses_of_one("dgc_two_devices"); }

TEST(ParameterServers, ASlowBackupWorkerHoldsNobodyUp) {
  PsCluster cluster("backup", 3, 1);
  const Rows chief = cluster.worker(0), slow = cluster.worker(2);
  ASSERT_EQ(chief.size(), 51u);
  EXPECT_EQ(chief[49][1], 50);
  ASSERT_GE(slow.size(), 2u);
  EXPECT_LE(slow.size(), 10u) << "it takes what is newest, and leaves out steps";
  EXPECT_EQ(slow.back()[1], 50);
  for (size_t step = 1; step < slow.size(); ++step) EXPECT_GT(slow[step][1], slow[step - 1][1]);
}

TEST(ParameterServers, WhoComputesAnswersTheOthers) {
  PsCluster cluster("busy", 2, 1);
  const Rows answers = cluster.worker(1);
  ASSERT_GE(answers.size(), 3u) << "it was asked in these three seconds";
  for (const auto& answered : answers) EXPECT_EQ(answered[0], 1);
}

TEST(ParameterServers, AsyncCountsEveryStepAndTellsTheStaleness) {
  PsCluster cluster("async", 2, 1);
  const Rows first = cluster.worker(0), second = cluster.worker(1);
  ASSERT_EQ(first.size(), 51u);
  ASSERT_GE(second.size(), 50u);
  double last = 0;
  for (const Rows& rows : {first, second})
    for (size_t step = 0; step < 50; ++step) {
      ASSERT_EQ(rows[step].size(), 3u);
      EXPECT_GE(rows[step][2], 0);
      EXPECT_LE(rows[step][2], 50);
      last = std::max(last, rows[step][1]);
    }
  EXPECT_EQ(last, 100) << "each step of each worker counts";
  EXPECT_LT(first[49][0], first[0][0]);
}

}  // namespace
}  // namespace mox
