#include "tensorflow.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "moxing/error.h"
#include "moxing/version.h"
#include "python.h"

namespace mox::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kLibrary[] = "libtensorflow_cc.so.2";
constexpr char kWhere[] =
    "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '', "
    "end='')";

bool has_library(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / kLibrary, ignored);
}

// "2.21.0" of tensorflow_cpu-2.21.0.dist-info, which pip left beside the package.
std::string version_beside(const fs::path& folder) {
  std::error_code failed;
  constexpr std::string_view kEnd = ".dist-info";
  for (const auto& entry : fs::directory_iterator(folder.parent_path(), failed)) {
    const std::string name = entry.path().filename().string();
    const size_t dash = name.find('-');
    if (!name.ends_with(kEnd) || dash == std::string::npos) continue;
    const std::string package = name.substr(0, dash);
    if (package == "tensorflow" || package == "tensorflow_cpu")
      return name.substr(dash + 1, name.size() - kEnd.size() - dash - 1);
  }
  return "";
}

std::string folder_of_python() {
  try {
    return ask_python(find_python(), kWhere).value_or("");
  } catch (const NotFoundError&) {
    return "";
  }
}

}  // namespace

std::string library_folder() {
  Dl_info info;
  // By name: the address that a program has of a function may be its own jump to it.
  void* function = dlsym(RTLD_DEFAULT, "_ZN3mox7versionEv");
  if (!function || dladdr(function, &info) == 0) throw Error("the program does not find its own library");
  return fs::canonical(info.dli_fname).parent_path().string();
}

std::optional<TensorFlow> find_tensorflow() {
  if (const char* named = std::getenv("TENSORFLOW_DIR"); named && *named) {
    if (!has_library(named))
      throw NotFoundError(
          fmt::format("TENSORFLOW_DIR is '{}', which has no {}; give the folder of the Python package, "
                      "…/site-packages/tensorflow",
                      named, kLibrary));
    return TensorFlow{named, version_beside(named)};
  }
  const fs::path beside = fs::path(library_folder()).parent_path().parent_path() / "tensorflow";
  for (const fs::path& folder : {beside, fs::path(MOX_TENSORFLOW_DIR)})
    if (!folder.empty() && has_library(folder)) return TensorFlow{folder.string(), version_beside(folder)};
  const std::string folder = folder_of_python();
  if (folder.empty() || !has_library(folder)) return std::nullopt;
  return TensorFlow{folder, version_beside(folder)};
}

}  // namespace mox::cli
