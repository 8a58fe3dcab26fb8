#include "run/process_identity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "base/host.h"

namespace mox {
namespace {

std::string first_word(const char* path) {
  std::string word;
  std::ifstream(path) >> word;
  return word.empty() ? "?" : word;
}

}  // namespace

std::string process_space() {
  char space[64] = "";
  if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) space[0] = 0;
  return first_word("/proc/sys/kernel/random/boot_id") + "/" + (space[0] ? space : "?");
}

std::string start_of_process(long pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

std::string process_identity() {
  return fmt::format("{} {} {} {}", host_name(), getpid(), process_space(), start_of_process(getpid()));
}

bool ProcessIdentity::is_gone() const {
  return space == process_space() && space.find('?') == std::string::npos && start_of_process(pid) != start;
}

}  // namespace mox
