#include "engine/validation_split.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/moxing.h"

namespace mox::cli {

using nlohmann::ordered_json;

ValidationSplit make_split(const ImageClassificationRawMetadata& data, double part, int64_t seed) {
  const std::vector<std::string> names = data.part_of_each_class(part, seed);
  if (names.empty())
    throw DataError(
        fmt::format("--validation_split keeps nothing back of {}: no class has two images", data.data_dir()));
  return {part, seed, {names.begin(), names.end()}};
}

ValidationSplit read_split(const std::string& dir) {
  const std::string path = dir + "/" + kSplitFile;
  if (dir.empty() || !file::exists(path)) return {};
  const ordered_json j = parse_ordered_json(file::read(path), false);
  ValidationSplit split;
  if (j.is_object() && j.contains("images") && j["images"].is_array()) {
    split.part = number_member(j, "part", 0);
    split.seed = static_cast<int64_t>(number_member(j, "seed", 0));
    for (const auto& name : j["images"])
      if (name.is_string()) split.images.insert(name.get<std::string>());
  }
  if (split.images.empty())
    throw DataError(path +
                    " names no images; remove it to have the split made anew, which is the same one where the "
                    "data are");
  return split;
}

void write_split(const ValidationSplit& split, const std::string& dir) {
  const ordered_json j = {{"part", split.part}, {"seed", split.seed}, {"images", split.images}};
  file::write(dir + "/" + kSplitFile, json_text(j, 1) + "\n");
}

}  // namespace mox::cli
