// The `checkpoint` file of a folder, and which checkpoints lie in it. Text format of TensorFlow's CheckpointState.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

struct CheckpointState {
  std::string latest;            // prefix, absolute or with the folder; "" for none
  std::vector<std::string> all;  // oldest first, `latest` among them
};

// What `dir/checkpoint` names; empty when there is no such file.
CheckpointState read_checkpoint_state(const std::string& dir);
// Replaces `dir/checkpoint` in one step (temporary file, rename). Prefixes in `dir` are written relative to it.
void write_checkpoint_state(const std::string& dir, const CheckpointState& state);

// Prefixes to try, newest first: those that the state names, then other model.ckpt-N that lie there whole.
MOX_EXPORT std::vector<std::string> checkpoints_in(const std::string& dir);
// `path` is a folder (its checkpoints, newest first) or a prefix (itself); NotFoundError with what was looked for.
std::vector<std::string> resolve_checkpoints(const std::string& path);

// dir/model.ckpt-<step>
std::string checkpoint_prefix(const std::string& dir, int64_t step);
// False on a store: a file appears there whole, under its own name, when it is closed.
bool has_atomic_move(const std::string& dir);
bool checkpoint_exists(const std::string& prefix);
void remove_checkpoint(const std::string& prefix);
// Leftovers of a process that died while it saved.
void remove_temporary_checkpoints(const std::string& dir);

}  // namespace mox
