// Real object stores on free loopback ports, for as long as the test program runs.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mox::test {

// A program in the background, on a folder of its own; ended and cleaned up by the destructor, or with this process.
class Server {
 public:
  // kind: "versitygw", "minio" or "fake_store" (fake_store.py). Throws with what to do when the program is missing or
  // does not start.
  Server(const std::string& kind, bool tls);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string endpoint() const;  // http://127.0.0.1:PORT
  int port() const { return port_; }
  // The folder whose subfolders are the buckets.
  const std::string& data_folder() const { return data_; }
  void stop();
  void start();

 private:
  std::vector<std::string> command() const;
  std::string kind_;
  bool tls_;
  std::string root_, data_;
  int port_ = 0;
  pid_t pid_ = -1;
};

// A fault_proxy.py in front of a server.
class FaultProxy {
 public:
  explicit FaultProxy(const Server& upstream);
  ~FaultProxy();
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // The next `count` requests that match are broken in this way; see fault_proxy.py.
  void fault(const std::string& kind, int count, const std::string& method = ".*", const std::string& path = ".*",
             double delay = 0);
  // "METHOD PATH" of what reached the server since the last call.
  std::vector<std::string> report();

 private:
  std::string control(const std::string& query);
  int port_;
  pid_t pid_;
};

// The one server of this kind in this process.
Server& server(const std::string& kind, bool tls = false);

inline constexpr char kAccessKey[] = "AKMOXTEST";
inline constexpr char kSecretKey[] = "secret-of-the-tests";

// A certificate for 127.0.0.1 that only the tests trust: the paths of certificate and key.
std::pair<std::string, std::string> test_certificate();

// set_auth for this server.
void use_server(const Server& server, bool tls = false);

// Starts a program; it ends with this process at the latest. Output goes to `log`, "" : nowhere.
pid_t start_program(const std::vector<std::string>& words, const std::string& log = "",
                    const std::vector<std::pair<std::string, std::string>>& environment = {});
// The exit status as waitpid gives it.
int wait_for_program(pid_t pid);

int free_port();
void wait_for_port(int port);

}  // namespace mox::test
