// What belongs where, on machines with and without GPUs.
#include "devices/device_plan.h"

#include <gtest/gtest.h>

#include "moxing/error.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace mox {
namespace {

const Machine kNone{}, kOne{.gpus = 1}, kFour{.gpus = 4};

std::vector<std::string> names(const DevicePlan& plan) {
  std::vector<std::string> all;
  for (int i = 0; i < plan.num_towers(); ++i) all.push_back(plan.tower(i));
  all.insert(all.end(), {plan.variables(), plan.inter()});
  return all;
}

using Names = std::vector<std::string>;

TEST(DevicePlan, TowersStandOnGpusWhereThereAreAny) {
  EXPECT_EQ(names({1, false, kOne}), Names(3, "/device:GPU:0"));
  EXPECT_EQ(names({1, false, kFour}), Names(3, "/device:GPU:0"));
  EXPECT_EQ(names({3, false, kFour}),
            (Names{"/device:GPU:0", "/device:GPU:1", "/device:GPU:2", "/device:CPU:0", "/device:GPU:0"}));
  EXPECT_TRUE(DevicePlan(3, false, kFour).on_gpus());
}

TEST(DevicePlan, ElseOnCpuDevices) {
  for (const DevicePlan& plan : {DevicePlan(), DevicePlan(1, false, kNone), DevicePlan(1, true, kFour)}) {
    EXPECT_EQ(names(plan), Names(3, "")) << "the runtime has one device only";
    EXPECT_FALSE(plan.on_gpus());
  }
  const Names two{"/device:CPU:0", "/device:CPU:1", "/device:CPU:0", "/device:CPU:0"};
  EXPECT_EQ(names({2, false, kNone}), two);
  EXPECT_EQ(names({2, true, kFour}), two);
}

TEST(DevicePlan, MoreThanThereAreIsAnErrorThatSaysHowMany) {
  unsetenv("CUDA_VISIBLE_DEVICES");
  const auto error = [](int towers, const Machine& machine) -> std::string {
    try {
      DevicePlan(towers, false, machine);
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error(4, {.gpus = 2}),
            "flag --num_gpus: got '4', but TensorFlow finds 2 GPUs on this machine; give --num_gpus=2 or fewer, or "
            "--clone_on_cpu to train on 4 CPU devices");
  EXPECT_EQ(error(2, kNone), "no error");
  setenv("CUDA_VISIBLE_DEVICES", "3", 1);
  EXPECT_NE(error(2, kOne).find("finds 1 GPU on this machine (CUDA_VISIBLE_DEVICES is '3'); give --num_gpus=1"),
            std::string::npos);
  unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST(DevicePlan, TheSessionGetsItsDevicesAndNoOthers) {
  tensorflow::ConfigProto gpus, cpus;
  DevicePlan(2, false, kFour).configure(&gpus);
  EXPECT_EQ(gpus.device_count().at("GPU"), 2) << "the other two stay free";
  EXPECT_EQ(gpus.device_count().at("CPU"), 1);
  EXPECT_TRUE(gpus.gpu_options().allow_growth());
  EXPECT_TRUE(gpus.allow_soft_placement()) << "what has no kernel for GPUs runs on the CPU";
  DevicePlan(3, true, kFour).configure(&cpus);
  EXPECT_EQ(cpus.device_count().at("GPU"), 0);
  EXPECT_EQ(cpus.device_count().at("CPU"), 3);
}

TEST(DevicePlan, AGpuThatTheRuntimeCannotUseIsAnError) {
  const std::string prefix = "/job:localhost/replica:0/task:0";
  const DevicePlan plan(2, false, kFour);
  plan.check_made({prefix + "/device:CPU:0", prefix + "/device:GPU:0", prefix + "/device:GPU:1"});
  try {
    plan.check_made({prefix + "/device:CPU:0", prefix + "/device:GPU:0"});
    FAIL() << "soft placement would train on the CPU";
  } catch (const RunError& e) {
    EXPECT_NE(std::string(e.what()).find("cannot use /device:GPU:1 of this machine, though it lists 4 GPUs"),
              std::string::npos)
        << e.what();
  }
}

TEST(DevicePlan, TheLogSaysWhereATrainingRuns) {
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(DevicePlan(2, false, kFour).description(),
            "devices: /device:GPU:0, /device:GPU:1; variables: /device:CPU:0");
  EXPECT_EQ(DevicePlan(2, false, kNone).description(), "");
  const Machine hidden{.hidden_gpu = true};
  EXPECT_NE(DevicePlan(1, false, hidden).description().find("pip install tensorflow[and-cuda]"), std::string::npos);
  EXPECT_EQ(DevicePlan(1, true, hidden).description(), "") << "the CPU is wanted";
  const Machine useless{.for_gpus = true};
  EXPECT_NE(DevicePlan(1, false, useless).description().find("built for GPUs and finds none"), std::string::npos);
  EXPECT_EQ(DevicePlan(1, true, useless).description(), "");
}

TEST(DevicePlan, TheHostOfADevice) {
  EXPECT_EQ(host_of("/device:GPU:2"), "/device:CPU:0");
  EXPECT_EQ(host_of("/gpu:2"), "/device:CPU:0");
  EXPECT_EQ(host_of("/job:worker/replica:0/task:3/device:GPU:1"), "/job:worker/replica:0/task:3/device:CPU:0");
  for (const std::string stays : {"/device:CPU:1", "", "/job:ps/task:0"}) EXPECT_EQ(host_of(stays), stays);
  EXPECT_TRUE(is_gpu("/gpu:0"));
  EXPECT_TRUE(is_gpu("/job:worker/task:3/device:GPU:1"));
  EXPECT_FALSE(is_gpu("/device:CPU:0"));
  EXPECT_FALSE(is_gpu(""));
}

TEST(DevicePlan, AskingTheMachineMakesNoDevice) {
  EXPECT_GE(this_machine().gpus, 0);
  EXPECT_EQ(&this_machine(), &this_machine());
}

}  // namespace
}  // namespace mox
