#include "run/tensorflow_server.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/host.h"
#include "base/mutex.h"
#include "cluster/socket.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/listening_server.h"
#include "run/quiet_runtime.h"
#include "tensorflow/core/common_runtime/device.h"
#include "tensorflow/core/common_runtime/device_mgr.h"
#include "tensorflow/core/distributed_runtime/call_options.h"
#include "tensorflow/core/distributed_runtime/master_env.h"
#include "tensorflow/core/distributed_runtime/server_lib.h"
#include "tensorflow/core/distributed_runtime/worker_cache.h"
#include "tensorflow/core/distributed_runtime/worker_env.h"
#include "tensorflow/core/distributed_runtime/worker_interface.h"
#include "tensorflow/core/lib/core/threadpool.h"
#include "tensorflow/core/platform/cpu_info.h"
#include "tensorflow/core/protobuf/tensorflow_server.pb.h"
#include "tensorflow/core/protobuf/worker.pb.h"
#include "tensorflow/core/util/device_name_utils.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Read when the first channel is made.
void ignore_proxies() {
  constexpr char kVariable[] = "TF_GRPC_DEFAULT_OPTIONS", kOption[] = "grpc.enable_http_proxy";
  const char* set = std::getenv(kVariable);
  if (set && std::string(set).find(kOption) != std::string::npos) return;
  const std::string value = fmt::format("{}{}{}=0", set ? set : "", set && *set ? "," : "", kOption);
  ::setenv(kVariable, value.c_str(), 1);
}

tf::ServerDef definition_of(const ServerCluster& cluster) {
  tf::ServerDef def;
  def.set_protocol("grpc");
  def.set_job_name(cluster.job);
  def.set_task_index(cluster.index);
  const auto add = [&](const char* job, const std::vector<std::string>& hosts) {
    tf::JobDef* added = def.mutable_cluster()->add_job();
    added->set_name(job);
    for (size_t i = 0; i < hosts.size(); ++i) (*added->mutable_tasks())[static_cast<int>(i)] = hosts[i];
  };
  add("ps", cluster.ps_hosts);
  add("worker", cluster.worker_hosts);
  return def;
}

void warn(const ServerCluster& cluster) {
  if (cluster.on_loopback()) return;
  const std::vector<std::string> lines = {
      fmt::format("This process serves TensorFlow's protocol at {}.", cluster.host(cluster.own_number())),
      "It has no password and no encryption: whoever reaches the port can run",
      "programs here and read this host's files. Keep it inside a network that",
      "you trust, or use --variable_update=collective_all_reduce, which needs none."};
  size_t width = 0;
  for (const std::string& line : lines) width = std::max(width, line.size());
  log_warning("+" + std::string(width + 2, '-') + "+");
  for (const std::string& line : lines) log_warning(fmt::format("| {:<{}} |", line, width));
  log_warning("+" + std::string(width + 2, '-') + "+");
}

// Of threads that answer other processes: they pass on what is there.
constexpr int kAnswering = 2;

}  // namespace

void check_hosts(const ServerCluster& cluster) {
  const auto& own = cluster.job == "ps" ? cluster.ps_hosts : cluster.worker_hosts;
  if (cluster.ps_hosts.empty() || cluster.worker_hosts.empty())
    throw InvalidArgumentError("variable_update=parameter_server needs --ps_hosts and --worker_hosts");
  if (cluster.index < 0 || cluster.index >= static_cast<int>(own.size()))
    throw InvalidArgumentError(fmt::format("--task_index is {}, expected 0 to {}: --{}_hosts has {} hosts ({})",
                                           cluster.index, own.size() - 1, cluster.job, own.size(),
                                           fmt::join(own, ",")));
  for (int i = 0; i < cluster.size(); ++i) {
    cluster::parse_address(cluster.host(i));
    for (int k = 0; k < i; ++k)
      if (cluster.host(i) == cluster.host(k))
        throw InvalidArgumentError(
            fmt::format("--ps_hosts and --worker_hosts name {} twice; each process needs an "
                        "address of its own",
                        cluster.host(i)));
  }
}

std::string ServerCluster::task(int number) const {
  const int servers = static_cast<int>(ps_hosts.size());
  return number < servers ? task_name("ps", number) : task_name("worker", number - servers);
}

const std::string& ServerCluster::host(int number) const {
  const size_t servers = ps_hosts.size(), at = static_cast<size_t>(number);
  return at < servers ? ps_hosts[at] : worker_hosts[at - servers];
}

std::string ServerCluster::name(int number) const {
  const int servers = static_cast<int>(ps_hosts.size());
  return number < servers ? fmt::format("ps {} ({})", number, host(number))
                          : fmt::format("worker {} ({})", number - servers, host(number));
}

bool ServerCluster::on_loopback() const {
  return std::all_of(ps_hosts.begin(), ps_hosts.end(), &is_loopback) &&
         std::all_of(worker_hosts.begin(), worker_hosts.end(), &is_loopback);
}

struct TensorflowServer::Impl {
  std::unique_ptr<tf::ServerInterface> server;
};

TensorflowServer& TensorflowServer::start(const ServerCluster& cluster, const DevicePlan& devices,
                                          int64_t intra_threads, int64_t inter_threads) {
  static Mutex* mutex = new Mutex;
  static TensorflowServer* server = nullptr;
  const MutexLock lock(*mutex);
  if (!server) {
    server = new TensorflowServer(cluster, devices, intra_threads, inter_threads);
    return *server;
  }
  const ServerCluster& other = server->cluster_;
  if (other.job != cluster.job || other.index != cluster.index || other.ps_hosts != cluster.ps_hosts ||
      other.worker_hosts != cluster.worker_hosts ||
      server->settings_ != fmt::format("{} {} {}", devices.num_towers(), intra_threads, inter_threads))
    throw InvalidArgumentError(
        fmt::format("this process is {} already, from an earlier run, with its devices and threads: TensorFlow's "
                    "server cannot be changed; start another process",
                    other.name(other.own_number())));
  return *server;
}

TensorflowServer::TensorflowServer(const ServerCluster& cluster, const DevicePlan& devices, int64_t intra_threads,
                                   int64_t inter_threads)
    : cluster_(cluster),
      settings_(fmt::format("{} {} {}", devices.num_towers(), intra_threads, inter_threads)),
      impl_(new Impl) {
  check_hosts(cluster);
  quiet_runtime();
  ignore_proxies();
  const cluster::Address address = cluster::parse_address(cluster.host(cluster.own_number()));
  // TensorFlow would only say that it could not start, or listen in another process's place.
  { const cluster::Listener free(address, fmt::format("--{}_hosts[{}]", cluster.job, cluster.index)); }
  tf::ServerDef def = definition_of(cluster);
  tf::ConfigProto* config = def.mutable_default_session_config();
  devices.configure(config);
  config->set_intra_op_parallelism_threads(static_cast<int>(intra_threads));
  config->set_inter_op_parallelism_threads(kAnswering);
  const std::string problem = start_listening_server(def, address.text(), &impl_->server);
  if (!problem.empty())
    throw RunError(
        fmt::format("TensorFlow's server of {} cannot start: {}", cluster.name(cluster.own_number()), problem));
  compute_beside_answers(impl_->server.get(), inter_threads);
  target_ = impl_->server->target();
  warn(cluster);
}

namespace {

// What the calls share: those that come too late still have it.
struct Asked {
  explicit Asked(int count) : signs(count), calls(count), requests(count), responses(count), waiting(count) {}
  Mutex mutex;
  CondVar changed;
  std::vector<TensorflowServer::Sign> signs MOX_GUARDED_BY(mutex);
  std::vector<tf::CallOptions> calls;
  std::vector<tf::GetStatusRequest> requests;
  std::vector<tf::GetStatusResponse> responses;
  int waiting MOX_GUARDED_BY(mutex);
};

std::string reason(const absl::Status& status, double seconds) {
  if (absl::IsDeadlineExceeded(status)) return fmt::format("no answer within {:g} s", seconds);
  std::string text(status.message());
  constexpr std::string_view kDetails = "Additional GRPC error information";
  if (const size_t at = text.find(kDetails); at != std::string::npos) text.resize(at);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// What is wrong with who answers for `task`; "": nothing.
std::string other_task(const tf::GetStatusResponse& answer, const std::string& task) {
  if (answer.device_attributes_size() == 0) return "";
  const std::string& device = answer.device_attributes(0).name();
  if (device.rfind(task + "/", 0) == 0) return "";
  tf::DeviceNameUtils::ParsedName name;
  if (!tf::DeviceNameUtils::ParseFullName(device, &name)) return "";
  return fmt::format(
      "who answers there is {} {}: one of the two has another --task_index, or the lists of hosts in "
      "another order",
      name.job, name.task);
}

}  // namespace

std::vector<TensorflowServer::Sign> TensorflowServer::ask(double seconds) const {
  tf::WorkerCacheInterface* cache = impl_->server->master_env()->worker_cache;
  const int count = cluster_.size();
  auto asked = std::make_shared<Asked>(count);
  for (int i = 0; i < count; ++i) {
    const std::string task = cluster_.task(i);
    tf::WorkerInterface* worker = cache->GetOrCreateWorker(task);
    asked->calls[i].SetTimeout(static_cast<int64_t>(seconds * 1000));
    worker->GetStatusAsync(&asked->calls[i], &asked->requests[i], &asked->responses[i], /*fail_fast=*/true,
                           [asked, cache, worker, task, i, seconds](const absl::Status& status) {
                             cache->ReleaseWorker(task, worker);
                             const MutexLock lock(asked->mutex);
                             Sign& sign = asked->signs[i];
                             sign.error = status.ok() ? other_task(asked->responses[i], task) : reason(status, seconds);
                             sign.alive = sign.error.empty();
                             if (asked->responses[i].device_attributes_size() > 0)
                               sign.incarnation = asked->responses[i].device_attributes(0).incarnation();
                             --asked->waiting;
                             asked->changed.notify_all();
                           });
  }
  MutexLock lock(asked->mutex);
  asked->changed.wait_for(lock, std::chrono::duration<double>(seconds + 1),
                          [&]() MOX_REQUIRES(asked->mutex) { return asked->waiting == 0; });
  std::vector<Sign> signs = asked->signs;
  for (Sign& sign : signs)
    if (!sign.alive && sign.error.empty()) sign.error = fmt::format("no answer within {:g} s", seconds);
  return signs;
}

}  // namespace mox
