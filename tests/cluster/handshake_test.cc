#include "cluster/handshake.h"

#include <gtest/gtest.h>

#include <thread>

namespace mox::cluster {
namespace {

Identity worker(int64_t index, const std::string& batch_size = "32") {
  return {index, "10.0.0." + std::to_string(index) + ":5000",        "node" + std::to_string(index), 100 + index, 7,
          -1,    {{"MoXing", "0.1.0"}, {"--batch_size", batch_size}}};
}

struct Result {
  std::string server, client;  // errors
  Greeted greeted;
  Identity met;
};

Result shake(const Identity& server, const Identity& client, const std::string& server_token,
             const std::string& client_token) {
  Result result;
  Listener listener({"127.0.0.1", 0}, "the test's");
  std::thread other([&] {
    try {
      Channel channel(connect_to(listener.address(), for_seconds(5)));
      result.met = greet(&channel, {client, Purpose::kRing, 42}, client_token, for_seconds(5));
    } catch (const Error& e) {
      result.client = e.what();
    }
  });
  try {
    Channel channel(listener.accept(for_seconds(5)));
    result.greeted = receive_greeting(&channel, server, server_token, for_seconds(5));
    welcome(&channel, result.greeted, server, server_token, for_seconds(5));
  } catch (const Error& e) {
    result.server = e.what();
  }
  other.join();
  return result;
}

TEST(HandshakeTest, ThoseOfOneRunLearnWhoTheOtherIs) {
  const Result result = shake(worker(0), worker(1), "secret", "secret");
  EXPECT_EQ(result.server, "");
  EXPECT_EQ(result.client, "");
  EXPECT_EQ(result.met.text(), "worker 0 (10.0.0.0:5000, process 100 on node0)");
  EXPECT_EQ(result.greeted.hello.identity.text(), "worker 1 (10.0.0.1:5000, process 101 on node1)");
  EXPECT_EQ(result.greeted.hello.group, 42u);
  EXPECT_EQ(result.greeted.hello.purpose, Purpose::kRing);
}

TEST(HandshakeTest, AnotherTokenIsRefusedOnBothSides) {
  const Result result = shake(worker(0), worker(1), "secret", "guess");
  EXPECT_NE(result.server.find("another token"), std::string::npos) << result.server;
  EXPECT_NE(result.client.find("--cluster_token"), std::string::npos) << result.client;
}

TEST(HandshakeTest, WhatDiffersIsToldToBothWithBothNames) {
  const Result result = shake(worker(0), worker(1, "16"), "secret", "secret");
  const std::string expected =
      "--batch_size is 16 at worker 1 (10.0.0.1:5000, process 101 on node1) and 32 at worker 0 (10.0.0.0:5000, process "
      "100 "
      "on node0)";
  EXPECT_EQ(result.server, expected);
  EXPECT_EQ(result.client, expected);
}

// Who speaks first, and what, before it is known who it is.
std::string stranger_says(const std::string& bytes) {
  Listener listener({"127.0.0.1", 0}, "the test's");
  std::thread stranger([&] {
    Socket socket = connect_to(listener.address(), for_seconds(5));
    try {
      socket.send(bytes.data(), bytes.size(), for_seconds(5));
      char byte;
      for (;;) socket.receive(&byte, 1, for_seconds(5));
    } catch (const ConnectionError&) {
    }
  });
  std::string error;
  try {
    Channel channel(listener.accept(for_seconds(5)));
    receive_greeting(&channel, worker(0), "secret", for_seconds(1));
  } catch (const ConnectionError& e) {
    error = e.what();
  }
  stranger.join();
  return error;
}

TEST(HandshakeTest, StrangersGetAnErrorNotAnAllocation) {
  EXPECT_NE(stranger_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  EXPECT_NE(stranger_says(""), "");
  EXPECT_NE(stranger_says(std::string("\xff\xff\xff\x7f\x01", 5)), "");
  EXPECT_NE(stranger_says(std::string("\x04\0\0\0\x01xxxx", 9)), "");
  EXPECT_NE(stranger_says(std::string("\x80\0\0\0\x01", 5) + std::string(128, 'x')), "");
}

TEST(HandshakeTest, AWitnessCannotSayItAgain) {
  // What an honest client said to one server proves nothing to another, which chose another number.
  std::string said;
  Listener first({"127.0.0.1", 0}, "the test's");
  std::thread client([&] {
    try {
      Channel channel(connect_to(first.address(), for_seconds(5)));
      greet(&channel, {worker(1), Purpose::kJoin, 0}, "secret", for_seconds(2));
    } catch (const Error&) {
    }
  });
  {
    Socket socket = first.accept(for_seconds(5));
    const std::string hello = "MOXCLUSTER1\n" + std::string(32, 'n');
    socket.send(hello.data(), hello.size(), for_seconds(5));
    char byte;
    try {
      for (;;) {
        socket.receive(&byte, 1, for_seconds(0.5));
        said += byte;
      }
    } catch (const ConnectionError&) {
    }
  }
  client.join();
  ASSERT_GT(said.size(), 100u);
  EXPECT_NE(stranger_says(said).find("another token"), std::string::npos);
}

TEST(HandshakeTest, AddressesAreChecked) {
  EXPECT_EQ(parse_address("[::1]:80").host, "::1");
  EXPECT_EQ(parse_address("[::1]:80").text(), "[::1]:80");
  for (const char* wrong : {"", "host", "host:", ":80", "host:0", "host:65536", "host:80x", "host:-1"})
    EXPECT_THROW(parse_address(wrong), InvalidArgumentError) << wrong;
}

TEST(HandshakeTest, AnAddressThatIsTakenOrNotOfThisHostIsToldByItsFlag) {
  Listener listener({"127.0.0.1", 0}, "--worker_hosts[0]");
  try {
    Listener again(listener.address(), "--worker_hosts[1]");
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("--worker_hosts[1] is 127.0.0.1:"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("another process listens there"), std::string::npos) << e.what();
  }
  try {
    Listener elsewhere({"192.0.2.1", 5000}, "--worker_hosts[1]");
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("is --task_index right for this host?"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace mox::cluster
