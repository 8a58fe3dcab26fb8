#include "file/servers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
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
  if (!fs::exists(path)) throw std::runtime_error("no " + path + ": run scripts/setup.d/20-file.sh once");
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
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mox-test -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' "
        "-out " + certificate + " -keyout " + key + " 2>/dev/null";
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
  for (int i = 0; i < 400; ++i) {
    if (connects(port)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error("nothing listens on port " + std::to_string(port) + " after 20 s");
}

std::pair<std::string, std::string> test_certificate() {
  static Certificate certificate;
  return {certificate.certificate, certificate.key};
}

Server::Server(const std::string& kind, bool tls) : kind_(kind), tls_(tls), root_(make_folder()), data_(root_ + "/data") {
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

std::string Server::endpoint() const { return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_); }

std::vector<std::string> Server::command() const {
  const std::string address = "127.0.0.1:" + std::to_string(port_);
  if (kind_ == "minio") return {server_program(kind_), "server", "--quiet", "--certs-dir", root_ + "/certs", "--address", address, data_};
  if (kind_ == "fake_store") return {"/usr/bin/env", "python3", server_program(kind_), std::to_string(port_)};
  std::vector<std::string> words = {server_program(kind_), "--port", address, "--access", kAccessKey, "--secret", kSecretKey,
                                    "--keep-alive", "--quiet"};
  if (tls_) words.insert(words.end(), {"--cert", root_ + "/certs/public.crt", "--key", root_ + "/certs/private.key"});
  words.insert(words.end(), {"posix", data_});
  return words;
}

void Server::start() {
  const std::vector<std::string> words = command();
  const std::string log = root_ + "/log";
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::setenv("MINIO_ROOT_USER", kAccessKey, 1);
    ::setenv("MINIO_ROOT_PASSWORD", kSecretKey, 1);
    ::setenv("MINIO_BROWSER", "off", 1);
    ::setenv("GOMAXPROCS", "2", 1);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  wait_for_port(port_);
}

void Server::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Server& server(const std::string& kind, bool tls) {
  static std::map<std::string, std::unique_ptr<Server>> servers;
  std::unique_ptr<Server>& slot = servers[kind + (tls ? "+tls" : "")];
  if (!slot) slot = std::make_unique<Server>(kind, tls);
  return *slot;
}

void use_server(const Server& server, bool tls) {
  if (tls) ::setenv("MOX_CA_BUNDLE", test_certificate().first.c_str(), 1);
  file::set_auth({.ak = kAccessKey, .sk = kSecretKey, .server = server.endpoint(), .is_secure = tls, .ssl_verify = true,
                  .retry_wait = 0.02});
}

}  // namespace mox::test
