#include "launch/ports.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>
#include <vector>

namespace mox::launch {
namespace {

// A server on 127.0.0.1 that sets `option` (0: none); whether it could listen.
bool can_listen(int port, int option, Fd* server) {
  *server = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  if (option) ::setsockopt(server->get(), SOL_SOCKET, option, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(server->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(server->get(), 1) == 0;
}

TEST(Ports, AHeldPortIsForServersThatKnowItsNumber) {
  HeldPort port;
  Fd server, second;
  EXPECT_FALSE(can_listen(port.port(), 0, &server)) << "a plain socket shows that it is held";
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
    EXPECT_TRUE(can_listen(port.port(), option, &server));
    server.reset();
    EXPECT_TRUE(can_listen(port.port(), option, &server)) << "after a restart";
    server.reset();
  }
  ASSERT_TRUE(can_listen(port.port(), SO_REUSEADDR, &server));
  EXPECT_FALSE(can_listen(port.port(), SO_REUSEADDR, &second)) << "two tasks with one address";
}

TEST(Ports, NoNumberIsGivenTwice) {
  std::vector<HeldPort> ports(500);
  std::set<int> numbers;
  for (const HeldPort& port : ports) numbers.insert(port.port());
  EXPECT_EQ(numbers.size(), 500u);
}

TEST(Ports, AReleasedPortIsForAll) {
  HeldPort port;
  port.release();
  Fd server;
  EXPECT_TRUE(can_listen(port.port(), 0, &server));
}

}  // namespace
}  // namespace mox::launch
