#include "base/process_usage.h"

#include <sys/resource.h>

namespace mox {
namespace {

rusage usage() {
  rusage found = {};
  getrusage(RUSAGE_SELF, &found);
  return found;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

double cpu_seconds() {
  const rusage found = usage();
  return seconds_of(found.ru_utime) + seconds_of(found.ru_stime);
}

double peak_mib() { return static_cast<double>(usage().ru_maxrss) / 1024; }

}  // namespace mox
