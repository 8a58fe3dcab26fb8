// mox --version [--json].
#include <gnu/libc-version.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command.h"
#include "moxing/error.h"
#include "moxing/version.h"
#include "python.h"
#include "tensorflow.h"

namespace mox::cli {
namespace {

using Json = nlohmann::ordered_json;

// What TensorFlow's kernels, and the loops of ours, choose by.
Json cpu_features() {
  Json features = Json::array();
#ifdef __x86_64__
  __builtin_cpu_init();
#define MOX_FEATURE(name) \
  if (__builtin_cpu_supports(name)) features.push_back(name)
  MOX_FEATURE("sse4.2");
  MOX_FEATURE("avx");
  MOX_FEATURE("avx2");
  MOX_FEATURE("fma");
  MOX_FEATURE("avx512f");
  MOX_FEATURE("avx512vnni");
  MOX_FEATURE("avx512bf16");
#undef MOX_FEATURE
#endif
  return features;
}

Json tensorflow() {
  Json json = {{"built_for", tensorflow_version()}, {"version", nullptr}, {"folder", nullptr}};
  const auto found = find_tensorflow();
  if (!found) return json;
  if (!found->version.empty()) json["version"] = found->version;
  json["folder"] = found->folder;
  return json;
}

Json python() {
  Json json = {{"version", nullptr}, {"program", nullptr}};
  try {
    json["program"] = find_python();
  } catch (const NotFoundError&) {
    return json;
  }
  const auto version = ask_python(json["program"], "import platform; print(platform.python_version(), end='')");
  if (version) json["version"] = *version;
  return json;
}

}  // namespace

int run_version(const std::vector<std::string>& args) {
  if (args.empty()) {
    std::printf("mox %s\n", version());
    return kDone;
  }
  if (args.size() > 1 || args[0] != "--json")
    throw InvalidArgumentError("unknown option '" + args[args.size() > 1 ? 1 : 0] + "', expected --json or nothing");
  const Json json = {{"mox", version()},
                     {"tensorflow", tensorflow()},
                     {"python", python()},
                     {"cpu", {{"features", cpu_features()}}},
                     {"libc", gnu_get_libc_version()},
                     {"compiler", __VERSION__}};
  std::printf("%s\n", json_text(json).c_str());
  return kDone;
}

}  // namespace mox::cli
