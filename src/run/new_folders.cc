#include "run/new_folders.h"

#include <filesystem>
#include <system_error>

#include "run/run_config.h"

namespace mox {

namespace fs = std::filesystem;

NewFolders::NewFolders(const RunConfig& config) {
  if (config.log_dir.empty() || config.log_dir.find("://") != std::string::npos || !config.cluster.is_chief()) return;
  std::error_code ignored;  // what cannot be made is told by check_writable
  for (fs::path path = fs::absolute(config.log_dir, ignored); path.has_relative_path(); path = path.parent_path())
    if (path.has_filename() && path.filename() != "." && path.filename() != "..") {
      if (fs::exists(fs::symlink_status(path, ignored))) break;
      folders_.push_back(path.string());
    }
}

NewFolders::~NewFolders() { remove_empty(); }

void NewFolders::remove_empty() {
  for (const std::string& folder : folders_) {
    std::error_code failed;
    if (!fs::is_directory(folder, failed) || !fs::is_empty(folder, failed) || !fs::remove(folder, failed)) break;
  }
  folders_.clear();
}

}  // namespace mox
