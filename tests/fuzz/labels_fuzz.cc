// labels.txt may hold anything: names, or a DataError. What we write of names is read as these names.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/labels_file.h"
#include "data/storage.h"
#include "moxing/error.h"

// The parser reads no file.
namespace mox::data {
bool file_exists(const std::string&) { return false; }
std::string read_whole_file(const std::string&, int64_t) { std::abort(); }
}  // namespace mox::data

namespace {

void check_round_trip(const std::vector<std::string>& names) {
  if (mox::data::parse_labels("labels.txt", mox::data::format_labels(names)) != names) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const auto names = mox::data::parse_labels("labels.txt", text);
    for (const auto& name : names)
      if (name.empty()) std::abort();
    check_round_trip(names);
  } catch (const mox::DataError&) {
  }
  mox::data::words_of(text);
  // Any bytes are a folder's name, but for these two.
  if (size == 0 || text.find('\0') != std::string::npos) return 0;
  check_round_trip({text});
  check_round_trip({text, "other"});
  const size_t half = size / 2;
  if (half > 0) check_round_trip({text.substr(0, half), text.substr(half)});
  return 0;
}
