// TensorFlow's gRPC server at one address of this host: its own listens at all of them.
#pragma once

#include <memory>
#include <string>

namespace tensorflow {
class ServerDef;
class ServerInterface;
}  // namespace tensorflow

namespace mox {

// Starts it at `address`, "host:port". "", or what went wrong.
std::string start_listening_server(const tensorflow::ServerDef& def, const std::string& address,
                                   std::unique_ptr<tensorflow::ServerInterface>* server);

}  // namespace mox
