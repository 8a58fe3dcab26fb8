#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "moxing/error.h"

namespace mox {

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t have = 0; have < count;) {
    const ssize_t n = ::getrandom(bytes.data() + have, count - have, 0);
    if (n < 0 && errno != EINTR) throw Error(std::string("no random numbers: ") + std::strerror(errno));
    if (n > 0) have += static_cast<size_t>(n);
  }
  return bytes;
}

uint64_t random_number() {
  uint64_t number = 0;
  std::memcpy(&number, random_bytes(sizeof number).data(), sizeof number);
  return number;
}

}  // namespace mox
