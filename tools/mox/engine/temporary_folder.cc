#include "engine/temporary_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "moxing/error.h"

namespace mox::cli {

TemporaryFolder::TemporaryFolder(const std::string& what)
    : path_((std::filesystem::temp_directory_path() / ("mox_" + what + "_XXXXXX")).string()) {
  if (!mkdtemp(path_.data()))
    throw Error(fmt::format("no folder {} can be made: {}; TMPDIR names another place", path_, std::strerror(errno)));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mox::cli
