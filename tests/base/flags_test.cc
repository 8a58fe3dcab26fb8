#include "moxing/flags.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(error_of("num_gpus", std::string("two")), "flag --num_gpus: got 'two', expected an integer from 1");
  EXPECT_EQ(error_of("num_gpus", int64_t{0}), "flag --num_gpus: got '0', expected an integer from 1");
  EXPECT_EQ(error_of("job_name", std::string("chief")), "flag --job_name: got 'chief', expected 'ps' or 'worker'");
  EXPECT_EQ(error_of("sync_replicas", 0.5), "flag --sync_replicas: got '0.5', expected true or false");
  EXPECT_NE(error_of("loss_scal", 1.0).find("loss_scale"), std::string::npos);
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 1);
}

TEST_F(Flags, CommandLineLeavesWhatItDoesNotKnow) {
  auto rest =
      parse_flags({"--num_gpus=2", "--data_url=x", "--nosync_replicas", "--gradient_clip", "1.5", "input", "--no"});
  EXPECT_EQ(rest, (std::vector<std::string>{"--data_url=x", "input", "--no"}));
  EXPECT_EQ(get_flag<int64_t>("num_gpus"), 2);
  EXPECT_FALSE(get_flag<bool>("sync_replicas"));
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
  EXPECT_EQ(error(R"({"task": {"type": "evaluator"}})"), "flag --job_name: got 'evaluator', expected 'ps' or 'worker'");
  EXPECT_EQ(error("{}"), "no error");
  unsetenv("TF_CONFIG");
}

TEST_F(Flags, HelpShowsEveryFlag) {
  for (const FlagInfo& flag : all_flags())
    EXPECT_NE(get_help().find("--" + std::string(flag.name) + "="), std::string::npos);
}

}  // namespace
}  // namespace mox
