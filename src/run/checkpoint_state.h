// The `checkpoint` file of a folder, and which checkpoints lie in it. Text format of TensorFlow's CheckpointState.
// Names are names: what a shell or TensorFlow's globs take for a pattern has no meaning here.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

// Prefixes are absolute, or with the folder that was asked for.
struct CheckpointState {
  std::string latest;                 // "" for none
  std::vector<std::string> all;       // oldest first, `latest` among them
  std::string saving;                 // is being written: named before its files appear
  std::vector<std::string> removing;  // of this folder, no longer named, their files are going
  std::string note;                   // what a user should know of how `latest` was found, "" for nothing
};

// What `dir/checkpoint` names; empty when there is no such file, DataError when it is no such list. What lies in
// another folder (absolute paths of a run that was moved or copied) is taken from here where a checkpoint of the same
// name lies here. A save that was killed after its checkpoint was whole counts as done.
CheckpointState read_checkpoint_state(const std::string& dir);
// Replaces `dir/checkpoint` in one step (temporary file, rename). Prefixes in `dir` are written relative to it.
void write_checkpoint_state(const std::string& dir, const CheckpointState& state);

// Looks for older checkpoints that a state names in other folders.
class CheckpointsElsewhere {
 public:
  explicit CheckpointsElsewhere(bool tell) : tell_(tell) {}
  // False where it cannot be told (a store that is gone, other programs' paths), and then for all that follow: nobody
  // waits for each of them.
  bool has(const std::string& prefix);

 private:
  const bool tell_;
  int left_ = 100;  // so many are looked for
};

// Prefixes to try, newest first: those that the state names, then other model.ckpt-N that lie there whole. A broken
// state file is no obstacle where checkpoints lie in the folder, else a DataError. `tell`: log what a user should know.
MOX_EXPORT std::vector<std::string> checkpoints_in(const std::string& dir, bool tell = false);
// `path` is a folder (its checkpoints, newest first, which may be none) or a prefix (itself); NotFoundError with what
// was looked for when it is neither.
std::vector<std::string> resolve_checkpoints(const std::string& path);

// What is in the folder, by name; nothing when it cannot be told.
std::vector<std::string> names_found_in(const std::string& dir);
// dir/model.ckpt-<step>
std::string checkpoint_prefix(const std::string& dir, int64_t step);
// Whether a run in `dir` may have written `prefix`: a model.ckpt-N that lies in that very folder. Nothing else is ever
// removed.
bool is_own_checkpoint(const std::string& dir, const std::string& prefix);
// False on a store: a file appears there whole, under its own name, when it is closed.
bool has_atomic_move(const std::string& dir);
bool checkpoint_exists(const std::string& prefix);
// Its index and data files.
void remove_checkpoint(const std::string& prefix);
// Leftovers of a save that failed.
void remove_temporary_checkpoints(const std::string& dir);

// What killed runs left in `dir`, which nobody else may write to meanwhile: temporary files, data without an index,
// checkpoints whose removal or writing was under way, half an export, probes of whether the folder can be written.
void remove_leftovers(const std::string& dir);

}  // namespace mox
