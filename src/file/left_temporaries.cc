#include "file/left_temporaries.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/text.h"
#include "file/local_file_system.h"
#include "file/state_folder.h"

namespace mox::file {
namespace {

constexpr std::string_view kTemporary = ".moxtmp-", kPart = ".moxpart-";
constexpr size_t kMostFolders = 1024;  // that are remembered

// The writer's number in ".NAME.moxtmp-PID-NUMBER"; 0 for other names.
pid_t writer_of(std::string_view name) {
  const size_t mark = name.rfind(kTemporary);
  if (name.empty() || name[0] != '.' || mark == std::string_view::npos || mark == 0) return 0;
  const std::string_view rest = name.substr(mark + kTemporary.size());
  const char* const begin = rest.data();
  const char* const end = begin + rest.size();
  pid_t pid = 0;
  unsigned number = 0;
  const auto first = std::from_chars(begin, end, pid);
  if (first.ec != std::errc() || pid <= 0 || first.ptr == end || *first.ptr != '-') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, number);
  return second.ec == std::errc() && second.ptr == end ? pid : 0;
}

bool is_part_name(std::string_view name) {
  const size_t mark = name.rfind(kPart);
  if (name.empty() || name[0] != '.' || mark == std::string_view::npos || mark == 0) return false;
  const std::string_view rest = name.substr(mark + kPart.size());
  return !rest.empty() && rest.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Each writer holds a lock on its file: where process numbers mean nothing (another host or container), that tells.
// With made_before not 0 only a file that was last changed before.
void remove_if_unlocked(const std::string& path, time_t made_before = 0) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  const Descriptor file(fd);
  struct ::stat st;
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (made_before != 0 && st.st_ctime >= made_before)) return;
  if (lock_file(fd, path)) ::unlink(path.c_str());
}

// When a process began, in seconds since 1970; 0 when there is none, or only what its parent has not asked about yet.
time_t begin_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return ::kill(pid, 0) != 0 && errno == ESRCH ? 0 : 1;
  // The name, in brackets, may have anything in it; the state follows, and the 20th word from there is the time.
  const size_t name_end = text.rfind(')');
  std::istringstream words(name_end == std::string::npos ? "" : text.substr(name_end + 1));
  std::string state, word;
  words >> state;
  if (state == "Z" || state == "X") return 0;
  for (int i = 0; i < 19; ++i) words >> word;
  timespec now, since_boot;
  ::clock_gettime(CLOCK_REALTIME, &now);
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const time_t begin = std::strtoll(word.c_str(), nullptr, 10) / ::sysconf(_SC_CLK_TCK);
  return std::max<time_t>(1, now.tv_sec - since_boot.tv_sec + begin);
}

// The number may be that of a later process: in a container each has the same few.
void remove_if_left(const std::string& path, pid_t writer) {
  constexpr time_t kRounding = 2;
  static const time_t first_write = std::time(nullptr);
  const time_t begin = writer == ::getpid() ? first_write : begin_of(writer);
  remove_if_unlocked(path, begin == 0 ? 0 : writer == ::getpid() ? begin : begin - kRounding);
}

// Removes what is left in a folder ("" or with '/' at its end); returns the parts of downloads that may still go on.
std::vector<std::string> clean(const std::string& folder) {
  std::vector<std::string> parts;
  DIR* dir = ::opendir(folder.empty() ? "." : folder.c_str());
  if (!dir) return parts;
  while (const dirent* item = ::readdir(dir)) {
    if (item->d_name[0] != '.') continue;
    const std::string name = item->d_name;
    if (is_part_name(name)) parts.push_back(name);
    if (const pid_t writer = writer_of(name)) remove_if_left(folder + name, writer);
  }
  ::closedir(dir);
  return parts;
}

}  // namespace

bool is_temporary_name(std::string_view name) { return writer_of(name) != 0 || is_part_name(name); }

void remove_left_temporaries(const std::string& target, const std::string& suffix_to_keep) {
  static Mutex mu;
  static auto* known MOX_PT_GUARDED_BY(mu) =
      new std::unordered_map<std::string, std::vector<std::string>>;  // folder -> parts
  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : target.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  MutexLock lock(mu);
  auto found = known->find(folder);
  if (found == known->end()) {
    if (known->size() >= kMostFolders) known->clear();
    found = known->emplace(folder, clean(folder)).first;
  }
  const std::string beginning = "." + name.substr(0, 200) + std::string(kPart);
  for (const std::string& part : found->second)
    if (part.compare(0, beginning.size(), beginning) == 0 &&
        (suffix_to_keep.empty() || part.compare(beginning.size(), std::string::npos, suffix_to_keep) != 0))
      remove_if_unlocked(folder + part);
}

void remove_left_part(const std::string& path) {
  if (is_part_name(mox::base_name(path))) remove_if_unlocked(path);
}

}  // namespace mox::file
