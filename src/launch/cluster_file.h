// --cluster_file: which process runs where, for other programs.
#pragma once

#include <string>
#include <vector>

#include "launch/fd.h"

namespace mox::launch {

struct ClusterEntry {
  std::string job;
  size_t index = 0;
  std::string address;  // "host:port"
  int64_t pid = 0;
  std::string host;  // empty: this one
};

class ClusterFile {
 public:
  ClusterFile() = default;
  // InvalidArgumentError when the file cannot be written. One of an earlier run is removed: its processes are gone.
  explicit ClusterFile(const std::string& path);

  // Replaces the file in one step: a reader sees all processes, or no file. mox::Error.
  void write(const std::vector<ClusterEntry>& entries) const;
  bool is_wanted() const { return !path_.empty(); }

 private:
  std::string path_, temporary_;
};

}  // namespace mox::launch
