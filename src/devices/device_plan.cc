#include "devices/device_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "moxing/error.h"
#include "tensorflow/core/framework/device_factory.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/util/device_name_utils.h"
#include "tensorflow/core/util/port.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::string device(const char* type, int i) { return fmt::format("/device:{}:{}", type, i); }

Machine look_at_machine() {
  Machine machine;
  std::vector<std::string> devices;
  if (tf::DeviceFactory::ListAllPhysicalDevices(&devices).ok())
    machine.gpus = static_cast<int>(std::count_if(devices.begin(), devices.end(), [](const std::string& name) {
      return name.find(":GPU:") != std::string::npos;  // "/physical_device:GPU:0"
    }));
  std::error_code ignored;
  const std::filesystem::directory_iterator driver("/proc/driver/nvidia/gpus", ignored);
  machine.hidden_gpu = machine.gpus == 0 && driver != std::filesystem::directory_iterator();
  machine.for_gpus = tf::IsGoogleCudaEnabled();
  return machine;
}

std::string gpus_text(int count) { return fmt::format("{} GPU{}", count, count == 1 ? "" : "s"); }

}  // namespace

const Machine& this_machine() {
  static const Machine* machine = new Machine(look_at_machine());
  return *machine;
}

DevicePlan::DevicePlan(int num_towers, bool clone_on_cpu, const Machine& machine)
    : num_towers_(num_towers),
      on_gpus_(machine.gpus > 0 && !clone_on_cpu),
      clone_on_cpu_(clone_on_cpu),
      machine_(machine) {
  if (!on_gpus_ || num_towers <= machine.gpus) return;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  throw InvalidArgumentError(fmt::format(
      "flag --num_gpus: got '{}', but TensorFlow finds {} on this machine{}; give --num_gpus={} or fewer, or "
      "--clone_on_cpu to train on {} CPU devices",
      num_towers, gpus_text(machine.gpus), visible ? fmt::format(" (CUDA_VISIBLE_DEVICES is '{}')", visible) : "",
      machine.gpus, num_towers));
}

std::string DevicePlan::tower(int i) const {
  if (on_gpus_) return device("GPU", i);
  return num_towers_ > 1 ? device("CPU", i) : "";
}

std::string DevicePlan::variables() const { return num_towers_ == 1 || has_copies() ? tower(0) : host(); }

std::string DevicePlan::inter() const { return tower(0); }

std::string DevicePlan::host() const { return device("CPU", 0); }

DevicePlan DevicePlan::with_copies() const {
  DevicePlan plan = *this;
  plan.copies_ = true;
  return plan;
}

DevicePlan DevicePlan::in_cluster(int task, int servers) const {
  DevicePlan plan = *this;
  plan.task_ = task;
  plan.servers_ = servers;
  return plan;
}

std::string DevicePlan::here(const std::string& device) const {
  return is_in_cluster() && !names_task(device) ? device_of_task(task_name("worker", task_), device) : device;
}

std::string DevicePlan::server(int i) const { return device_of_task(task_name("ps", i)); }

std::vector<std::string> DevicePlan::tasks_of_session() const {
  if (!is_in_cluster()) return {};
  std::vector<std::string> tasks = {"/job:ps", task_name("worker", 0)};
  if (task_ > 0) tasks.push_back(task_name("worker", task_));
  return tasks;
}

void DevicePlan::configure(tf::ConfigProto* config) const {
  config->set_allow_soft_placement(true);
  auto& count = *config->mutable_device_count();
  count["CPU"] = on_gpus_ ? 1 : num_towers_;
  // Other GPUs stay free; without this the runtime places on one what names no device.
  count["GPU"] = on_gpus_ ? num_towers_ : 0;
  if (on_gpus_) config->mutable_gpu_options()->set_allow_growth(true);
}

void DevicePlan::check_made(const std::vector<std::string>& devices) const {
  if (!on_gpus_ || machine_.pretended) return;
  for (int i = 0; i < num_towers_; ++i)
    if (std::none_of(devices.begin(), devices.end(), [&](const std::string& name) { return name.ends_with(tower(i)); }))
      throw RunError(fmt::format(
          "TensorFlow cannot use {} of this machine, though it lists {} (see its messages with TF_CPP_MIN_LOG_LEVEL=0: "
          "driver, libraries or compute capability); leave it out with CUDA_VISIBLE_DEVICES, or give --clone_on_cpu",
          tower(i), gpus_text(machine_.gpus)));
}

std::string DevicePlan::description() const {
  if (on_gpus_) {
    std::string towers = tower(0);
    for (int i = 1; i < num_towers_; ++i) towers += ", " + tower(i);
    return fmt::format("devices: {}; variables: {}{}", towers, has_copies() ? "a copy on each" : variables(),
                       machine_.pretended ? " (pretended: all of it runs on the CPU)" : "");
  }
  if (clone_on_cpu_ || std::getenv("CUDA_VISIBLE_DEVICES")) return "";
  if (machine_.for_gpus)
    return "TensorFlow is built for GPUs and finds none on this machine, so the CPU is used (nvidia-smi tells whether "
           "the driver knows one; --clone_on_cpu if the CPU is wanted)";
  if (machine_.hidden_gpu)
    return "this machine has a GPU that TensorFlow does not find, so the CPU is used; GPUs need "
           "`pip install tensorflow[and-cuda]` in place of tensorflow-cpu (--clone_on_cpu if the CPU is wanted)";
  return "";
}

std::string task_name(const std::string& job, int index) {
  return fmt::format("/job:{}/replica:0/task:{}", job, index);
}

std::string device_of_task(const std::string& task, const std::string& device) {
  tf::DeviceNameUtils::ParsedName name, process;
  if (!tf::DeviceNameUtils::ParseFullName(device, &name) || !tf::DeviceNameUtils::ParseFullName(task, &process))
    throw Error(fmt::format("'{}' is no device of '{}'", device, task));
  if (!name.has_type) {
    name.type = "CPU";
    name.id = 0;
    name.has_type = name.has_id = true;
  }
  name.job = process.job;
  name.replica = process.replica;
  name.task = process.task;
  name.has_job = name.has_replica = name.has_task = true;
  return tf::DeviceNameUtils::ParsedNameToString(name);
}

bool names_task(const std::string& device) {
  tf::DeviceNameUtils::ParsedName name;
  return tf::DeviceNameUtils::ParseFullName(device, &name) && name.has_job;
}

bool is_gpu(const std::string& device) {
  tf::DeviceNameUtils::ParsedName name;
  return tf::DeviceNameUtils::ParseFullName(device, &name) && name.has_type && name.type == "GPU";
}

std::string host_of(const std::string& device) {
  tf::DeviceNameUtils::ParsedName name;
  if (!tf::DeviceNameUtils::ParseFullName(device, &name) || !name.has_type || name.type != "GPU") return device;
  name.type = "CPU";
  name.has_id = true;
  name.id = 0;
  return tf::DeviceNameUtils::ParsedNameToString(name);
}

}  // namespace mox
