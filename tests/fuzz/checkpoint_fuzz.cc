// A `checkpoint` file may hold anything: it is understood, or refused with a DataError; what is written comes back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "moxing/error.h"
#include "run/checkpoint_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  bool is_data = false;
  const std::string checkpoint = mox::checkpoint_of_file(text, &is_data);
  if (!checkpoint.empty() && mox::checkpoint_name(mox::step_of_checkpoint_name(checkpoint)) != checkpoint) std::abort();
  try {
    const mox::CheckpointText state = mox::parse_checkpoint_text(text);
    const mox::CheckpointText back = mox::parse_checkpoint_text(mox::format_checkpoint_text(state));
    if (back.latest != state.latest || back.all != state.all || back.saving != state.saving ||
        back.removing != state.removing)
      std::abort();
  } catch (const mox::DataError&) {
  }
  return 0;
}
