// TensorFlow's gRPC server at one address of this host: its own listens at all of them.
#pragma once

#include <cstdint>
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

// TensorFlow's server computes on the threads that answer the other processes, too: while a step has them all, nobody
// gets a tensor from here, nor a sign of life. After this, steps have `threads` of their own (0: as many as cores).
void compute_beside_answers(tensorflow::ServerInterface* server, int64_t threads);

}  // namespace mox
