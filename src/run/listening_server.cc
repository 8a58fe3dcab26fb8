// Compiled without access control (src/CMakeLists.txt): TensorFlow's wheel does not export gRPC's functions, so the
// address in the builder is changed in place. The threads of a device are its makers' to set.
#include "run/listening_server.h"

#include "tensorflow/core/common_runtime/device_mgr.h"
#include "tensorflow/core/distributed_runtime/rpc/grpc_server_lib.h"
#include "tensorflow/core/distributed_runtime/worker_env.h"
#include "tensorflow/core/platform/cpu_info.h"
#include "tensorflow/core/platform/threadpool.h"

namespace mox {

namespace tf = tensorflow;

namespace {

class ListeningServer : public tf::GrpcServer {
 public:
  ListeningServer(const tf::ServerDef& def, std::string address)
      : GrpcServer(def, tf::Env::Default()), address_(std::move(address)) {}
  absl::Status init() { return Init(); }

 protected:
  void MaybeMutateBuilder(::grpc::ServerBuilder* builder, int) override {
    for (auto& port : builder->ports_) port.addr = address_;
  }

 private:
  const std::string address_;
};

}  // namespace

std::string start_listening_server(const tf::ServerDef& def, const std::string& address,
                                   std::unique_ptr<tf::ServerInterface>* server) {
  // Never destroyed, not even where it failed: its destructor ends the process.
  auto* made = new ListeningServer(def, address);
  absl::Status status = made->init();
  if (status.ok()) status = made->Start();
  if (!status.ok()) return std::string(status.message());
  server->reset(made);
  return "";
}

void compute_beside_answers(tf::ServerInterface* server, int64_t threads) {
  if (threads <= 0) threads = tf::port::MaxParallelism();
  auto* pool = new tf::thread::ThreadPool(tf::Env::Default(), tf::ThreadOptions(), "mox_steps",
                                          static_cast<int>(threads));  // as long as the server
  for (tf::Device* device : static_cast<tf::GrpcServer*>(server)->worker_env()->device_mgr->ListDevices())
    device->set_tensorflow_device_thread_pool(pool);
}

}  // namespace mox
