// The text of a `checkpoint` file: TensorFlow's CheckpointState in protobuf's text format. Knows no TensorFlow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"

namespace mox {

// Paths as they are written: absolute, or relative to the folder of the file.
struct CheckpointText {
  std::string latest;            // "" for none
  std::vector<std::string> all;  // oldest first
  // What a save under way does, in comments, which other readers skip: a killed one is finished by the next run.
  std::string saving;                 // being written; whole as soon as its index is there
  std::vector<std::string> removing;  // no longer named above, their files are about to go
};

constexpr int64_t kMaxCheckpointText = 16 << 20;  // bytes; a line of it is some 50

// DataError that says where and what was expected, for what is no text format, for a path that no file system takes
// (4096 bytes, a zero byte), and for more than kMaxCheckpointText bytes. Unknown fields are skipped.
MOX_EXPORT CheckpointText parse_checkpoint_text(std::string_view text);
MOX_EXPORT std::string format_checkpoint_text(const CheckpointText& state);

// "model.ckpt-12": the names that runs give to checkpoints, and to nothing else.
MOX_EXPORT std::string checkpoint_name(int64_t step);
// The step of such a name, -1 for any other.
MOX_EXPORT int64_t step_of_checkpoint_name(std::string_view name);
// The checkpoint that a file belongs to, by its name alone: "model.ckpt-12" for "model.ckpt-12.index" and
// "model.ckpt-12.data-00000-of-00001", "" for others. `is_data`: it is the latter.
MOX_EXPORT std::string checkpoint_of_file(std::string_view file_name, bool* is_data);

}  // namespace mox
