#include "file/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "moxing/file.h"

namespace fs = std::filesystem;

namespace mox::test {
namespace {

std::string server_program(const std::string& kind) {
  if (kind == "fake_store") return MOX_TEST_FAKE_STORE;
  const char* folder = std::getenv("MOX_SERVERS");
  const std::string path = std::string(folder && *folder ? folder : MOX_TEST_SERVERS) + "/" + kind;
  if (!fs::exists(path)) throw std::runtime_error("no " + path + ": run `scripts/setup.sh test` once");
  return path;
}

std::string make_folder() {
  std::string pattern = fs::temp_directory_path().string() + "/mox_server_XXXXXX";
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  return pattern;
}

bool connects(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

struct Certificate {
  std::string folder = make_folder();
  std::string certificate = folder + "/public.crt", key = folder + "/private.key";
  Certificate() {
    const std::string command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mox-test -addext "
        "'subjectAltName=IP:127.0.0.1,DNS:localhost' "
        "-out " +
        certificate + " -keyout " + key + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl made no certificate");
  }
  ~Certificate() { fs::remove_all(folder); }
};

}  // namespace

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

void wait_for_port(int port) {
  for (int i = 0; i < 2400; ++i) {
    if (connects(port)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error("nothing listens on port " + std::to_string(port) + " after 2 min");
}

std::pair<std::string, std::string> test_certificate() {
  static Certificate certificate;
  return {certificate.certificate, certificate.key};
}

Server::Server(const std::string& kind, bool tls)
    : kind_(kind), tls_(tls), root_(make_folder()), data_(root_ + "/data") {
  fs::create_directories(data_);
  if (tls) {
    fs::create_directories(root_ + "/certs");
    fs::copy(test_certificate().first, root_ + "/certs/public.crt");
    fs::copy(test_certificate().second, root_ + "/certs/private.key");
  }
  port_ = free_port();
  start();
}

Server::~Server() {
  stop();
  fs::remove_all(root_);
}

std::string Server::endpoint() const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
}

std::vector<std::string> Server::command() const {
  const std::string address = "127.0.0.1:" + std::to_string(port_);
  if (kind_ == "minio")
    return {server_program(kind_), "server", "--quiet", "--certs-dir", root_ + "/certs", "--address", address, data_};
  if (kind_ == "fake_store") return {"/usr/bin/env", "python3", server_program(kind_), std::to_string(port_)};
  std::vector<std::string> words = {
      server_program(kind_), "--port", address, "--access", kAccessKey, "--secret", kSecretKey,
      "--keep-alive",        "--quiet"};
  if (tls_) words.insert(words.end(), {"--cert", root_ + "/certs/public.crt", "--key", root_ + "/certs/private.key"});
  words.insert(words.end(), {"posix", data_});
  return words;
}

void Server::start() {
  pid_ = start_program(command(), root_ + "/log",
                       {{"MINIO_ROOT_USER", kAccessKey},
                        {"MINIO_ROOT_PASSWORD", kSecretKey},
                        {"MINIO_BROWSER", "off"},
                        {"GOMAXPROCS", "2"}});
  wait_for_port(port_);
}

pid_t start_program(const std::vector<std::string>& words, const std::string& log,
                    const std::vector<std::pair<std::string, std::string>>& environment) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = ::open(log.empty() ? "/dev/null" : log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(fd, 1);
  ::dup2(fd, 2);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

int wait_for_program(pid_t pid) {
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

void Server::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

FaultProxy::FaultProxy(const Server& upstream) : port_(free_port()) {
  pid_ = start_program(
      {"/usr/bin/env", "python3", MOX_TEST_FAULT_PROXY, std::to_string(port_), std::to_string(upstream.port())});
  wait_for_port(port_);
}

FaultProxy::~FaultProxy() {
  ::kill(pid_, SIGKILL);
  wait_for_program(pid_);
}

std::string FaultProxy::control(const std::string& query) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("no proxy");
  const std::string request = "GET /-control?" + query + " HTTP/1.1\r\n\r\n";
  if (::write(fd, request.data(), request.size()) < 0) throw std::runtime_error("the proxy does not listen");
  std::string answer;
  char buffer[65536];
  while (const ssize_t got = ::read(fd, buffer, sizeof buffer)) {
    if (got < 0) break;
    answer.append(buffer, static_cast<size_t>(got));
  }
  ::close(fd);
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

void FaultProxy::fault(const std::string& kind, int count, const std::string& method, const std::string& path,
                       double delay) {
  std::string escaped;  // a regular expression in a query
  for (const char c : path) {
    char text[8];
    std::snprintf(text, sizeof text, "%%%02X", static_cast<unsigned char>(c));
    escaped += text;
  }
  control("kind=" + kind + "&count=" + std::to_string(count) + "&method=" +
          (method == "PUT|POST" ? "PUT%7CPOST" : method) + "&path=" + escaped + "&delay=" + std::to_string(delay));
}

std::vector<std::string> FaultProxy::report() {
  std::vector<std::string> lines;
  std::istringstream text(control("report=1"));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

Server& server(const std::string& kind, bool tls) {
  static std::map<std::string, std::unique_ptr<Server>> servers;
  std::unique_ptr<Server>& slot = servers[kind + (tls ? "+tls" : "")];
  if (!slot) slot = std::make_unique<Server>(kind, tls);
  return *slot;
}

void use_server(const Server& server, bool tls) {
  if (tls) ::setenv("MOX_CA_BUNDLE", test_certificate().first.c_str(), 1);
  file::set_auth({.ak = kAccessKey,
                  .sk = kSecretKey,
                  .server = server.endpoint(),
                  .is_secure = tls,
                  .ssl_verify = true,
                  .path_style = true,
                  .retry = 10,
                  .retry_wait = 0.02,
                  .client_timeout = 60,
                  .list_max_keys = 1000,
                  .token = ""});
}

}  // namespace mox::test
