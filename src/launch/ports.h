// Ports that are chosen here and used by a program that is started later.
//
// The kernel picks a free port for a plain socket, so no other holds it on any address. Only then SO_REUSEADDR and
// SO_REUSEPORT are set, and the socket stays bound, without listening, until the launcher ends: Linux gives the number
// to nobody who asks for a free one or connects out, and a second launcher never gets it either; a server that sets
// either option (TensorFlow's gRPC server, Gloo, Python's servers, nearly all do) binds and listens as if it were free,
// again after a restart. Handing over a listening descriptor would need programs that know of it; TensorFlow's does
// not.
#pragma once

#include <cstdint>

#include "launch/fd.h"

namespace mox::launch {

class HeldPort {
 public:
  // mox::Error when there is none.
  HeldPort();
  int port() const { return port_; }
  // For programs that set neither option: from here on it may be taken by others, too.
  void release() { socket_.reset(); }

 private:
  Fd socket_;
  int port_ = 0;
};

}  // namespace mox::launch
