// Compiled without access control (src/CMakeLists.txt): TensorFlow's wheel does not export gRPC's functions, so the
// address in the builder is changed in place.
#include "run/listening_server.h"

#include "tensorflow/core/distributed_runtime/rpc/grpc_server_lib.h"

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

}  // namespace mox
