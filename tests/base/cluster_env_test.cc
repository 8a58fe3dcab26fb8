#include "base/cluster_env.h"

#include <gtest/gtest.h>

#include <map>

#include "base/tf_config.h"
#include "moxing/error.h"

namespace mox {
namespace {

using Hosts = std::vector<std::string>;
using Table = std::map<std::string, std::string>;

EnvironmentReader reader(const Table& table) {
  return [table](const char* name) -> const char* {
    static thread_local std::string value;
    const auto found = table.find(name);
    if (found == table.end()) return nullptr;
    value = found->second;
    return value.c_str();
  };
}

template <typename F>
std::string error_of(F&& call) {
  try {
    call();
  } catch (const InvalidArgumentError& e) {
    return e.what();
  }
  return "no error";
}

std::string tf_config_error(const std::string& text) {
  return error_of([&] { cluster_from_tf_config(text); });
}

TEST(ClusterEnvironment, TfConfigOfKubeflow) {
  const std::string cluster = R"("cluster": {"chief": ["c:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1", "q:1"],
                                             "evaluator": ["e:1"]}, "environment": "cloud")";
  const auto task = [&](const std::string& text) {
    return cluster_from_tf_config("{" + cluster + ", \"task\": " + text + "}");
  };
  const ClusterTask chief = task(R"({"type": "chief", "index": 0})");
  EXPECT_EQ(chief.worker_hosts, (Hosts{"c:1", "w0:1", "w1:1"}));
  EXPECT_EQ(chief.ps_hosts, (Hosts{"p:1", "q:1"}));
  EXPECT_EQ(chief.job_name, "worker");
  EXPECT_EQ(chief.task_index, 0);
  EXPECT_EQ(task(R"({"type": "worker", "index": 1})").task_index, 2) << "the chief is the first worker";
  EXPECT_EQ(task(R"({"type": "worker", "index": "1"})").task_index, 2) << "a text, as some write it";
  EXPECT_EQ(task(R"({"type": "ps", "index": 1})").job_name, "ps");
  EXPECT_EQ(task(R"({"type": "ps", "index": 1})").task_index, 1);
  EXPECT_EQ(task(R"({"type": "evaluator", "index": 0})").job_name, "evaluator");
  const ClusterTask master = cluster_from_tf_config(R"({"cluster": {"master": ["m:1"], "worker": ["w:1"]},
                                                        "task": {"type": "worker", "index": 0}})");
  EXPECT_EQ(master.worker_hosts, (Hosts{"m:1", "w:1"}));
  EXPECT_EQ(master.task_index, 1);
  EXPECT_EQ(cluster_from_tf_config("{}").worker_hosts, Hosts()) << "a process alone";
  EXPECT_EQ(cluster_from_tf_config(R"({"task": {"type": "worker", "index": 0}})").task_index, 0);
  EXPECT_EQ(cluster_from_tf_config(R"({"cluster": {"worker": ["[::1]:5"]}})").worker_hosts, Hosts{"[::1]:5"});
}

TEST(ClusterEnvironment, WrongTfConfigIsNamed) {
  EXPECT_NE(tf_config_error("not json").find("it is no JSON"), std::string::npos);
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_NE(tf_config_error(R"({"cluster": {"ps": [)" + deep + "]}}")
                .find("cluster.ps has array, expected a list of \"host:port\""),
            std::string::npos);
  EXPECT_LT(tf_config_error(std::string(100000, 'x')).size(), 1000u);
  EXPECT_NE(tf_config_error("[]").find("it is no JSON object"), std::string::npos);
  EXPECT_NE(tf_config_error(R"({"sparseCluster": {"worker": {"0": "a:1"}, "ps": []}, "task": {"type": "worker"}})")
                .find("it has a sparseCluster, which does not name all workers"),
            std::string::npos);
  EXPECT_NE(tf_config_error(R"({"cluster": 3})").find("cluster is 3, expected an object"), std::string::npos);
  EXPECT_NE(tf_config_error(R"({"cluster": {"worker": "a:1"}})").find("cluster.worker has \"a:1\", expected a list"),
            std::string::npos);
  for (const char* host :
       {"3", "\"a\"", "\":1\"", "\"a:\"", "\"a:0\"", "\"a:70000\"", "\"a:x\"", "\"a b:1\"", "\"a:1,b:1\"", "null"})
    EXPECT_NE(
        tf_config_error(std::string(R"({"cluster": {"ps": [)") + host + "]}}").find("expected a list of \"host:port\""),
        std::string::npos)
        << host;
  const auto task_error = [](const std::string& task) {
    return tf_config_error(R"({"cluster": {"chief": ["c:1"], "worker": ["w:1"]}, "task": )" + task + "}");
  };
  EXPECT_NE(task_error("7").find("task is 7, expected an object"), std::string::npos);
  EXPECT_NE(task_error(R"({"type": "boss"})").find("task.type is \"boss\""), std::string::npos);
  EXPECT_NE(task_error(R"({"type": 1})").find("task.type is 1"), std::string::npos);
  for (const char* index : {"-1", "1.5", "\"x\"", "true", "[]", "1e30"})
    EXPECT_NE(task_error(std::string(R"({"type": "worker", "index": )") + index + "}").find("task.index is"),
              std::string::npos)
        << index;
  EXPECT_NE(task_error(R"({"type": "worker", "index": 1})").find("task.index is 1, but cluster.worker has 1 hosts"),
            std::string::npos);
  EXPECT_NE(task_error(R"({"type": "chief", "index": 1})").find("cluster.chief has 1 hosts"), std::string::npos);
  EXPECT_NE(task_error(R"({"type": "ps", "index": 0})").find("cluster.ps has 0 hosts"), std::string::npos);
  EXPECT_NE(tf_config_error(R"({"cluster": {"chief": ["a:1", "b:1"]}})").find("2 chiefs"), std::string::npos);
}

TEST(ClusterEnvironment, SlurmLists) {
  EXPECT_EQ(expand_slurm_hosts("login"), Hosts{"login"});
  EXPECT_EQ(expand_slurm_hosts("gpu[01-03,7],login"), (Hosts{"gpu01", "gpu02", "gpu03", "gpu7", "login"}));
  EXPECT_EQ(expand_slurm_hosts("n[9-11]"), (Hosts{"n9", "n10", "n11"}));
  EXPECT_EQ(expand_slurm_hosts("r[1-2]c[1-2]-ib"), (Hosts{"r1c1-ib", "r2c1-ib", "r1c2-ib", "r2c2-ib"}));
  for (const char* list :
       {"", "a,,b", "a[", "a[1-", "a]", "a[]", "a[x]", "a[3-1]", "a[1-99999999]", "a[-1]", "a[1-9000][1-9000]"})
    EXPECT_THROW(expand_slurm_hosts(list), InvalidArgumentError) << list;
  EXPECT_EQ(expand_slurm_counts("2(x3),1"), (std::vector<int64_t>{2, 2, 2, 1}));
  for (const char* list : {"", "x", "0", "-1", "2(x", "2(x)", "2(3)", "2,", "2(x99999999999)", "60000(x2)"})
    EXPECT_THROW(expand_slurm_counts(list), InvalidArgumentError) << list;
}

TEST(ClusterEnvironment, SlurmRanks) {
  Table table = {{"SLURM_PROCID", "3"},
                 {"SLURM_NTASKS", "4"},
                 {"SLURM_JOB_NODELIST", "gpu[1-2]"},
                 {"SLURM_TASKS_PER_NODE", "3,1"},
                 {"SLURM_JOB_ID", "1000"}};
  ClusterTask task = cluster_from_slurm(reader(table), {.ps = 1, .first_port = 4000});
  EXPECT_EQ(task.worker_hosts, (Hosts{"gpu1:4000", "gpu1:4001", "gpu1:4002"}));
  EXPECT_EQ(task.ps_hosts, Hosts{"gpu2:4000"});
  EXPECT_EQ(task.job_name, "ps");
  EXPECT_EQ(task.task_index, 0);
  table["SLURM_PROCID"] = "2";
  task = cluster_from_slurm(reader(table));
  EXPECT_EQ(task.task_index, 2);
  EXPECT_EQ(task.worker_hosts.size(), 4u);
  const auto port_of = [&](const char* job) {
    table["SLURM_JOB_ID"] = job;
    return cluster_from_slurm(reader(table)).worker_hosts[0];
  };
  EXPECT_EQ(port_of("7"), port_of("7")) << "all ranks agree";
  EXPECT_NE(port_of("7"), port_of("8")) << "jobs that share a node";
  const std::string first_step = port_of("7"), next_job = port_of("8");
  table["SLURM_STEP_ID"] = "1";
  EXPECT_NE(port_of("7"), first_step) << "steps that run at the same time";
  EXPECT_NE(port_of("7"), next_job);
  table.erase("SLURM_STEP_ID");
  table["SLURM_STEP_NUM_TASKS"] = "2";  // a step of part of the job
  table["SLURM_STEP_NODELIST"] = "gpu2";
  table["SLURM_STEP_TASKS_PER_NODE"] = "2";
  table["SLURM_PROCID"] = "1";
  EXPECT_EQ(cluster_from_slurm(reader(table), {.first_port = 5000}).worker_hosts, (Hosts{"gpu2:5000", "gpu2:5001"}));
  EXPECT_EQ(cluster_from_slurm(reader(table), {.first_port = 5000, .hosts = {"x", "y:7"}}).worker_hosts,
            (Hosts{"x:5000", "y:7"}));
}

TEST(ClusterEnvironment, SlurmTasksThatAreDealtOut) {
  Table table = {{"SLURM_PROCID", "0"},
                 {"SLURM_NTASKS", "5"},
                 {"SLURM_NODELIST", "a,b"},
                 {"SLURM_TASKS_PER_NODE", "3,2"},
                 {"SLURM_DISTRIBUTION", "cyclic:block"}};
  const auto hosts = [&] { return cluster_from_slurm(reader(table), {.first_port = 10}).worker_hosts; };
  EXPECT_EQ(hosts(), (Hosts{"a:10", "b:10", "a:11", "b:11", "a:12"}));
  table["SLURM_DISTRIBUTION"] = "block:cyclic";
  EXPECT_EQ(hosts(), (Hosts{"a:10", "a:11", "a:12", "b:10", "b:11"}));
  for (const char* unknown : {"arbitrary", "plane=2"}) {
    table["SLURM_DISTRIBUTION"] = unknown;
    EXPECT_NE(error_of(hosts).find("SLURM_DISTRIBUTION: it is '" + std::string(unknown) + "'"), std::string::npos);
  }
  table["SLURM_NTASKS"] = "2";
  table["SLURM_TASKS_PER_NODE"] = "1(x2)";
  EXPECT_EQ(hosts(), (Hosts{"a:10", "b:10"})) << "one a node: the order is the nodes'";
}

TEST(ClusterEnvironment, WrongRanksAreNamed) {
  const Table good = {
      {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"SLURM_NODELIST", "a"}, {"SLURM_TASKS_PER_NODE", "2"}};
  const auto slurm_error = [&](const std::string& name, const std::string& value, const RankOptions& options = {}) {
    Table table = good;
    value.empty() ? void(table.erase(name)) : void(table[name] = value);
    return error_of([&] { cluster_from_slurm(reader(table), options); });
  };
  EXPECT_EQ(slurm_error("X", "1"), "no error");
  EXPECT_NE(slurm_error("SLURM_PROCID", "").find("SLURM_PROCID is not set"), std::string::npos);
  EXPECT_NE(slurm_error("SLURM_PROCID", "x").find("SLURM_PROCID: it is 'x'"), std::string::npos);
  EXPECT_NE(slurm_error("SLURM_PROCID", "2").find("it is 2 of 2"), std::string::npos);
  EXPECT_NE(slurm_error("SLURM_NTASKS", "3").find("3 processes, but 2 hosts"), std::string::npos);
  EXPECT_NE(slurm_error("SLURM_NODELIST", "").find("SLURM_NODELIST"), std::string::npos);
  EXPECT_NE(slurm_error("SLURM_NODELIST", "a,b").find("2 nodes"), std::string::npos);
  EXPECT_NE(slurm_error("X", "1", {.ps = 2}).find("one at least is a worker"), std::string::npos);
  EXPECT_NE(slurm_error("X", "1", {.first_port = 65535}).find("a port for 'a' is 65536"), std::string::npos);
  EXPECT_NE(slurm_error("X", "1", {.hosts = {"a"}}).find("2 processes, but 1 hosts"), std::string::npos);
}

TEST(ClusterEnvironment, MpiRanks) {
  const Table open_mpi = {
      {"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  const ClusterTask task = cluster_from_mpi(reader(open_mpi), {.first_port = 4000});
  EXPECT_EQ(task.worker_hosts, (Hosts{"127.0.0.1:4000", "127.0.0.1:4001"}));
  EXPECT_EQ(task.task_index, 1);
  const auto port_of = [](Table table, const char* name, const char* job) {
    table[name] = job;
    return cluster_from_mpi(reader(table)).worker_hosts[0];
  };
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"}) {
    EXPECT_EQ(port_of(open_mpi, name, "prterun-node-77@1"), port_of(open_mpi, name, "prterun-node-77@1"));
    EXPECT_NE(port_of(open_mpi, name, "prterun-node-77@1"), port_of(open_mpi, name, "prterun-node-78@1")) << name;
  }
  const Table hydra = {{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"MPI_LOCALNRANKS", "1"}};
  EXPECT_NE(error_of([&] { cluster_from_mpi(reader(hydra)); }).find("1 of 2 are on this one"), std::string::npos);
  EXPECT_EQ(cluster_from_mpi(reader(hydra), {.ps = 1, .hosts = {"a:1", "b:1"}}).ps_hosts, Hosts{"b:1"});
  EXPECT_NE(error_of([&] {
              cluster_from_mpi(reader({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}));
            }).find("neither OMPI_COMM_WORLD_LOCAL_SIZE nor MPI_LOCALNRANKS is set"),
            std::string::npos);
  EXPECT_NE(error_of([&] { cluster_from_mpi(reader({})); }).find("not started by MPI"), std::string::npos);
  EXPECT_NE(error_of([&] { cluster_from_mpi(reader({{"PMI_RANK", "0"}})); }).find("PMI_SIZE"), std::string::npos);
}

}  // namespace
}  // namespace mox
