#include "moxing/flags.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/environment.h"
#include "moxing/error.h"

namespace mox {
namespace {

class Flags : public ::testing::Test {
 protected:
  void TearDown() override { reset_flags(); }

  static std::string error_of(const std::string& name, const FlagValue& value) {
    try {
      set_flag(name, value);
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  }
};

TEST_F(Flags, DefaultsAreTheManuals) {
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 1);
  EXPECT_EQ(get_flag<std::string>("job_name"), "worker");
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "");
  EXPECT_EQ(get_flag<double>("loss_scale"), 1.0);
  EXPECT_TRUE(get_flag<bool>("sync_replicas"));
  EXPECT_EQ(get_flag<std::string>("variable_update"), "auto");
}

TEST_F(Flags, SetAndGet) {
  set_flag("num_gpus", 4);
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 4);
  set_flag("loss_scale", 1024);
  EXPECT_EQ(get_flag<double>("loss_scale"), 1024.0);
  set_flag("loss_scale", "dynamic");
  EXPECT_EQ(get_flag<std::string>("loss_scale"), "dynamic");
}

TEST_F(Flags, ErrorsNameTheFlagAndItsValues) {
  EXPECT_EQ(error_of("num_gpus", std::string("two")), "flag --num_gpus: got 'two', expected an integer from 1 to 1024");
  EXPECT_EQ(error_of("num_gpus", int64_t{0}), "flag --num_gpus: got '0', expected an integer from 1 to 1024");
  EXPECT_EQ(error_of("job_name", std::string("chief")),
            "flag --job_name: got 'chief', expected 'ps', 'worker' or 'evaluator'");
  EXPECT_EQ(error_of("sync_replicas", 0.5), "flag --sync_replicas: got '0.5', expected true or false");
  EXPECT_NE(error_of("loss_scal", 1.0).find("loss_scale"), std::string::npos);
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 1);
}

TEST_F(Flags, CommandLineLeavesWhatItDoesNotKnow) {
  auto rest =
      parse_flags({"--num_gpus=2", "--data_url=x", "--nolog_first_clone", "--gradient_clip", "1.5", "input", "--no"});
  EXPECT_EQ(rest, (std::vector<std::string>{"--data_url=x", "input", "--no"}));
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 2);
  EXPECT_FALSE(get_flag<bool>("log_first_clone"));
  EXPECT_EQ(get_flag<double>("gradient_clip"), 1.5);
  EXPECT_THROW(parse_flags({"--num_gpus=x"}), InvalidArgumentError);
  EXPECT_THROW(parse_flags({"--task_index"}), InvalidArgumentError);
}

TEST_F(Flags, TfConfigFillsWhatTheCommandLineLeftOut) {
  setenv("TF_CONFIG",
         R"({"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["p:1"]},
             "task": {"type": "worker", "index": 1}})",
         1);
  EXPECT_EQ(get_flag<std::string>("job_name"), "worker");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 2) << "the chief is the first worker";
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "a:1,b:1,c:1");
  EXPECT_EQ(get_flag<std::string>("ps_hosts"), "p:1");
  set_flag("task_index", 0);
  set_flag("worker_hosts", "x:1");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 0);
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "x:1");
  setenv("TF_CONFIG", R"({"cluster": {"master": ["a:1"]}, "task": {"type": "master"}})", 1);
  reset_flags();
  EXPECT_EQ(get_flag<std::string>("job_name"), "worker");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 0);
  auto error = [](const char* config) -> std::string {
    setenv("TF_CONFIG", config, 1);
    try {
      get_flag<std::string>("job_name");
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_NE(error("{").find("the environment variable TF_CONFIG cannot be used: "), std::string::npos);
  EXPECT_NE(error("[1]").find("it is no JSON object; it is: [1]; correct or unset it"), std::string::npos);
  EXPECT_EQ(error("{}"), "no error");
  unsetenv("TF_CONFIG");
}

TEST_F(Flags, AnEvaluatorIsNoMemberOfItsCluster) {
  setenv("TF_CONFIG",
         R"({"cluster": {"chief": ["a:1"], "worker": ["b:1"], "ps": ["p:1"], "evaluator": ["e:1"]},
             "task": {"type": "evaluator", "index": 1}})",
         1);
  EXPECT_EQ(get_flag<std::string>("job_name"), "evaluator");
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "");
  EXPECT_EQ(get_flag<std::string>("ps_hosts"), "");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 0);
  unsetenv("TF_CONFIG");
}

// Variables that a test sets, and takes back.
class Environment {
 public:
  Environment(std::initializer_list<std::pair<const char*, const char*>> variables) {
    for (const auto& [name, value] : variables) {
      setenv(name, value, 1);
      names_.push_back(name);
    }
  }
  ~Environment() {
    for (const char* name : names_) unsetenv(name);
  }

 private:
  std::vector<const char*> names_;
};

TEST_F(Flags, RanksOfSlurmFillWhatTheCommandLineLeftOut) {
  const Environment slurm({{"SLURM_PROCID", "2"},
                           {"SLURM_NTASKS", "3"},
                           {"SLURM_JOB_NODELIST", "n[1-2]"},
                           {"SLURM_TASKS_PER_NODE", "2,1"},
                           {"SLURM_JOB_ID", "77"},
                           {"TF_CONFIG", R"({"cluster": {"worker": ["x:1"]}})"}});
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "x:1") << "nobody said --cluster";
  parse_flags({"--cluster=slurm", "--cluster_port=5000"});
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "n1:5000,n1:5001,n2:5000");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 2);
  EXPECT_TRUE(is_flag_set("task_index"));
  EXPECT_FALSE(is_flag_set("num_gpus"));
  set_flag("cluster_ps", 1);
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "n1:5000,n1:5001");
  EXPECT_EQ(get_flag<std::string>("ps_hosts"), "n2:5000");
  EXPECT_EQ(get_flag<std::string>("job_name"), "ps");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 0);
  set_flag("cluster_ps", 0);
  parse_flags({"--worker_hosts=a:1,b:2", "--ps_hosts=c:3"});
  EXPECT_EQ(get_flag<std::string>("job_name"), "ps") << "the ranks' order: workers, then parameter servers";
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "a:1,b:2");
  set_flag("task_index", 9);
  EXPECT_EQ(get_flag<int64_t>("task_index"), 9) << "what is given counts";
}

TEST_F(Flags, RanksOfMpiFillWhatTheCommandLineLeftOut) {
  set_flag("cluster", "mpi");
  const Environment hydra({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALNRANKS", "2"}});
  set_flag("cluster_port", 4000);
  EXPECT_EQ(get_flag<std::string>("worker_hosts"), "127.0.0.1:4000,127.0.0.1:4001");
  EXPECT_EQ(get_flag<int64_t>("task_index"), 1);
  EXPECT_EQ(get_flag<std::string>("job_name"), "worker");
}

TEST_F(Flags, AClusterThatIsNotThereIsAnErrorThatSaysWhatWasLookedFor) {
  const auto error = [](const char* flag) -> std::string {
    try {
      get_flag(flag);
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of("cluster", std::string("pbs")),
            "flag --cluster: got 'pbs', expected 'tf_config', 'mpi' or 'slurm'");
  set_flag("cluster", "mpi");
  EXPECT_EQ(
      error("worker_hosts"),
      "--cluster=mpi: neither OMPI_COMM_WORLD_RANK nor PMI_RANK is set: this process was not started by MPI; start "
      "it by mpirun or mpiexec");
  set_flag("cluster", "slurm");
  EXPECT_EQ(
      error("task_index"),
      "--cluster=slurm: Slurm's variable SLURM_PROCID is not set: this process was not started by srun; start it by "
      "srun");
  const Environment slurm({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}});
  set_flag("ps_hosts", "a:1");
  EXPECT_NE(error("worker_hosts").find("--ps_hosts is given without --worker_hosts"), std::string::npos);
  set_flag("worker_hosts", "b:1");
  EXPECT_EQ(error("task_index"), "no error");
  set_flag("cluster_ps", 2);
  EXPECT_NE(error("task_index").find("--cluster_ps is 2, but --ps_hosts has 1 hosts (a:1)"), std::string::npos);
  set_flag("cluster_ps", 0);
  set_flag("worker_hosts", "b:1,c:1");
  EXPECT_NE(error("task_index").find("there are 2 processes, but 3 hosts are named (b:1,c:1,a:1)"), std::string::npos);
}

TEST_F(Flags, NumbersHaveARangeThatErrorsTell) {
  const auto got = [](const char* name, const char* text) { return error_of(name, std::string(text)); };
  EXPECT_EQ(got("num_gpus", "1000000"), "flag --num_gpus: got '1000000', expected an integer from 1 to 1024");
  EXPECT_EQ(got("num_gpus", "99999999999999999999"),
            "flag --num_gpus: got '99999999999999999999', expected an integer from 1 to 1024");
  EXPECT_EQ(got("num_inter_threads", "-1"), "flag --num_inter_threads: got '-1', expected an integer from 0 to 4096");
  EXPECT_EQ(got("gradient_clip", "nan"), "flag --gradient_clip: got 'nan', expected a number from 0 to 1e+30");
  EXPECT_EQ(got("gradient_clip", "inf"), "flag --gradient_clip: got 'inf', expected a number from 0 to 1e+30");
  EXPECT_EQ(got("stall_report_secs", "-nan"),
            "flag --stall_report_secs: got '-nan', expected a number from 0 to 1e+09");
  EXPECT_EQ(error_of("loss_scale", std::numeric_limits<double>::infinity()),
            "flag --loss_scale: got 'inf', expected a number from 1e-30 to 1e+30, or 'dynamic'");
  EXPECT_EQ(got("loss_scale", ""), "flag --loss_scale: got '', expected a number from 1e-30 to 1e+30, or 'dynamic'");
  EXPECT_EQ(got("loss_scale", "4\x1b[2J"),
            "flag --loss_scale: got '4\\x1b[2J', expected a number from 1e-30 to 1e+30, or 'dynamic'");
  // Each flag that is a number refuses what no number is, and what lies outside.
  for (const FlagInfo& flag : all_flags()) {
    if (std::holds_alternative<std::string>(flag.default_value) || std::holds_alternative<bool>(flag.default_value))
      continue;
    for (const char* text : {"nan", "inf", "-inf", "-1", "1e+300", "0x10", " 1", "1 ", "one", ""})
      EXPECT_EQ(got(flag.name, text),
                "flag --" + std::string(flag.name) + ": got '" + text + "', expected " + flag.values());
  }
}

TEST_F(Flags, TextsAreChecked) {
  EXPECT_EQ(error_of("worker_hosts", std::string("nohost")),
            "flag --worker_hosts: got 'nohost', expected host:port,host:port,…");
  EXPECT_EQ(error_of("ps_hosts", std::string("a:1,b:99999")),
            "flag --ps_hosts: got 'a:1,b:99999', expected host:port,host:port,…");
  EXPECT_EQ(error_of("worker_hosts", std::string("a:1, [::1]:22")), "no error");
  EXPECT_EQ(error_of("checkpoint_exclude_patterns", std::string("global_step,("))
                .find("flag --checkpoint_exclude_patterns: '(' is not a regular expression"),
            0u);
  EXPECT_EQ(error_of("running_log_level", std::string("loud")),
            "flag --running_log_level: got 'loud', expected 'debug', 'info', 'warning', 'error' or 'off'");
}

TEST_F(Flags, EveryDefaultIsTaken) {
  for (const FlagInfo& flag : all_flags()) EXPECT_EQ(error_of(flag.name, flag.default_value), "no error") << flag.name;
  EXPECT_EQ(error_of("server_protocol", std::string("http")), "flag --server_protocol: got 'http', expected 'grpc'");
}

TEST_F(Flags, TheEnvironmentGivesTheLogLevel) {
  EXPECT_FALSE(is_flag_set("running_log_level"));
  setenv("MOX_LOG_LEVEL", "error", 1);
  EXPECT_TRUE(is_flag_set("running_log_level"));
  EXPECT_EQ(get_flag<std::string>("running_log_level"), "error");
  set_flag("running_log_level", "debug");
  EXPECT_EQ(get_flag<std::string>("running_log_level"), "debug");
  reset_flags();
  setenv("MOX_LOG_LEVEL", "loud", 1);
  try {
    get_flag("running_log_level");
    ADD_FAILURE() << "no error";
  } catch (const InvalidArgumentError& e) {
    EXPECT_STREQ(e.what(),
                 "environment variable MOX_LOG_LEVEL: flag --running_log_level: got 'loud', expected 'debug', 'info', "
                 "'warning', 'error' or 'off'");
  }
  unsetenv("MOX_LOG_LEVEL");
}

TEST_F(Flags, TfConfigErrorsTellTheField) {
  const auto error = [](const std::string& config, const char* flag) -> std::string {
    setenv("TF_CONFIG", config.c_str(), 1);
    try {
      get_flag(flag);
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  const auto expect = [&](const std::string& config, const char* flag, const std::string& why) {
    EXPECT_EQ(error(config, flag), "the environment variable TF_CONFIG cannot be used: " + why + "; it is: " + config +
                                       "; correct or unset it");
  };
  expect(R"({"cluster": 3})", "ps_hosts", "its cluster is 3, expected an object");
  expect(R"({"cluster": {"worker": "a:1"}})", "worker_hosts",
         R"(its cluster.worker has "a:1", expected a list of "host:port")");
  expect(R"({"cluster": {"ps": [["a:1"]]}})", "ps_hosts",
         R"(its cluster.ps has array, expected a list of "host:port")");
  expect(R"({"task": {"index": -1}})", "task_index", "its task.index is -1, expected an integer from 0 to 1000000");
  expect(R"({"task": {"index": 9223372036854775807}})", "task_index",
         "its task.index is 9223372036854775807, expected an integer from 0 to 1000000");
  expect(R"({"task": {"type": 1}})", "job_name",
         R"(its task.type is 1, expected "chief", "worker", "ps" or "evaluator")");
  expect(R"({"cluster": {"worker": ["a"]}})", "worker_hosts",
         R"(its cluster.worker has "a", expected a list of "host:port")");
  expect(R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}})", "job_name",
         "its task.index is 1, but cluster.worker has 1 hosts, expected an index from 0 to 0");
  const std::string deep(100'000, '[');
  EXPECT_EQ(error(deep, "job_name").find("json.exception"), std::string::npos);
  EXPECT_LT(error(deep, "job_name").size(), 2000u);
  unsetenv("TF_CONFIG");
}

TEST(EnvironmentTest, NamesTheVariableWhatItHoldsAndWhatIsExpected) {
  const auto error = [](const char* value, auto read) -> std::string {
    setenv("MOX_TEST", value, 1);
    try {
      read();
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  const auto integer = [] { integer_in_environment("MOX_TEST", 1, 9); };
  const auto number = [] { number_in_environment("MOX_TEST", 0, 0.5); };
  for (const char* bad : {"0", "10", "1.5", "x", "nan", "99999999999999999999", "1 "})
    EXPECT_EQ(error(bad, integer), "environment variable MOX_TEST='" + std::string(bad) +
                                       "': expected an integer from 1 to 9; correct or unset it");
  for (const char* bad : {"-1", "1", "nan", "inf", "", "x"})
    EXPECT_EQ(error(bad, number), *bad ? "environment variable MOX_TEST='" + std::string(bad) +
                                             "': expected a number from 0 to 0.5; correct or unset it"
                                       : "no error");
  EXPECT_EQ(error("maybe", [] { bool_in_environment("MOX_TEST"); }),
            "environment variable MOX_TEST='maybe': expected true or false; correct or unset it");
  setenv("MOX_TEST", "Yes", 1);
  EXPECT_EQ(bool_in_environment("MOX_TEST"), true);
  unsetenv("MOX_TEST");
  EXPECT_EQ(integer_in_environment("MOX_TEST", 1, 9), std::nullopt);
}

TEST_F(Flags, HelpShowsEveryFlag) {
  for (const FlagInfo& flag : all_flags())
    EXPECT_NE(get_help().find("--" + std::string(flag.name) + "="), std::string::npos);
}

}  // namespace
}  // namespace mox
