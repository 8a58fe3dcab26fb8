#include "launch/cluster_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/url.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

// Where a link leads: the file behind it is replaced, not the link.
std::string follow_links(const std::string& path) {
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) ? resolved : path;
}

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw InvalidArgumentError("--cluster_file: '" + path + "' cannot be written: " + why);
}

}  // namespace

ClusterFile::ClusterFile(const std::string& path) : path_(follow_links(path)) {
  if (has_scheme(path)) reject(path, "expected a path on this host's disks");
  struct stat st;
  const bool there = ::stat(path_.c_str(), &st) == 0;
  if (there && !S_ISREG(st.st_mode)) reject(path, "it is no plain file");
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path_.substr(0, slash + 1);
  temporary_ = folder + ".mox-cluster-" + std::to_string(::getpid());
  const Fd file(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file.open()) reject(path, std::strerror(errno));
  ::unlink(temporary_.c_str());
  if (there && ::unlink(path_.c_str()) != 0) reject(path, std::strerror(errno));
}

void ClusterFile::write(const std::vector<ClusterEntry>& entries) const {
  std::string text;
  for (const ClusterEntry& entry : entries) {
    nlohmann::ordered_json object = {
        {"job_name", entry.job}, {"task_index", entry.index}, {"address", entry.address}, {"pid", entry.pid}};
    if (!entry.host.empty()) object["host"] = entry.host;
    text += (text.empty() ? "[" : ",\n ") + json_text(object);
  }
  text += "]\n";
  const Fd file(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  size_t written = 0;
  while (file.open() && written < text.size()) {
    const ssize_t n = ::write(file.get(), text.data() + written, text.size() - written);
    if (n < 0 && errno != EINTR) break;
    if (n > 0) written += static_cast<size_t>(n);
  }
  if (written == text.size() && ::rename(temporary_.c_str(), path_.c_str()) == 0) return;
  const int error = errno;
  ::unlink(temporary_.c_str());
  throw Error("--cluster_file: cannot write '" + path_ + "': " + std::strerror(error));
}

}  // namespace mox::launch
