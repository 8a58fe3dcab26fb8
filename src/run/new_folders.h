// A run that is refused leaves no folder behind.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

struct RunConfig;

// Made before log_dir is: knows which folders are not there yet. In the end those that are empty go again. Of the chief
// alone, and not in an object store, where an empty folder could not be removed without a look at what others put
// there.
class MOX_EXPORT NewFolders {
 public:
  explicit NewFolders(const RunConfig& config);
  ~NewFolders();
  NewFolders(const NewFolders&) = delete;
  NewFolders& operator=(const NewFolders&) = delete;

  void remove_empty();

 private:
  std::vector<std::string> folders_;  // the deepest first
};

}  // namespace mox
