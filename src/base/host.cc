#include "base/host.h"

#include <unistd.h>

#include "base/text.h"

namespace mox {

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name[0] ? name : "?";
}

bool is_host_and_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.find_first_of(" ,\t\n/") != std::string_view::npos)
    return false;
  const std::optional<int> port = parse_whole<int>(text.substr(colon + 1));
  return port && *port >= 1 && *port <= 65535;
}

bool is_loopback(std::string_view address) {
  for (const std::string_view start : {"127.", "localhost:", "[::1]:"})
    if (address.substr(0, start.size()) == start) return true;
  return false;
}

}  // namespace mox
