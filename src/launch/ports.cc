#include "launch/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace mox::launch {

HeldPort::HeldPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);  // the server may bind any address of this host
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!socket_.open() || ::bind(socket_.get(), generic, size) != 0 || ::getsockname(socket_.get(), generic, &size) != 0)
    throw_errno("cannot reserve a port for a task");
  const int yes = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  port_ = ntohs(address.sin_port);
}

}  // namespace mox::launch
