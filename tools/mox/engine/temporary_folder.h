// A folder of this process, which goes with its owner.
#pragma once

#include <string>

namespace mox::cli {

class TemporaryFolder {
 public:
  // `what` it is for: the beginning of its name, and of the error when none can be made.
  explicit TemporaryFolder(const std::string& what);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace mox::cli
