// Paths and patterns from users and listings: parsed or refused, and what counts as safe stays below its folder.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "file/glob.h"
#include "file/path.h"
#include "moxing/error.h"

// The library's asks every storage.
std::vector<std::string> mox::file::file_system_schemes() { return {"s3", "obs"}; }

namespace {

void check_path(const std::string& text) {
  namespace f = mox::file;
  try {
    const f::Location location = f::parse_path(text);
    if (!location.is_local()) {  // what is written must be read as the same place
      const f::Location again = f::parse_path(location.str());
      if (again.bucket != location.bucket || again.key != location.key) std::abort();
    }
    f::base_name(location);
    f::parent_of(location);
    location.folder_prefix();
    location.as_file();
  } catch (const mox::InvalidArgumentError&) {
  }
}

void check_safe(const std::string& name) {
  if (!mox::file::is_safe_relative(name)) return;
  const std::string joined = (std::filesystem::path("/dst") / name).lexically_normal().string();
  if (joined.rfind("/dst/", 0) != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_path(text);
  check_path("s3://" + text);
  check_safe(text);
  const size_t half = text.find('\n');
  if (half == std::string::npos) return 0;
  mox::file::match_path(text.substr(0, half), text.substr(half + 1));
  return 0;
}
