#include "run/checkpoint_state.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_set>

#include "base/text.h"
#include "base/url.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_text.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kStateFile[] = "checkpoint";
constexpr char kIndexSuffix[] = ".index";

using Names = std::set<std::string>;

bool is_absolute(const std::string& path) { return path[0] == '/' || has_scheme(path); }

// One spelling for one folder, without looking at it.
std::string folder_key(std::string dir) {
  if (has_scheme(dir)) {
    const size_t begin = dir.size() - split_url(dir).rest.size();
    while (dir.size() > begin && dir.back() == '/') dir.pop_back();
    return as_s3(std::move(dir));
  }
  std::error_code ignored;
  const auto path = std::filesystem::absolute(dir.empty() ? "." : dir, ignored).lexically_normal();
  return path.has_filename() ? path.string() : path.parent_path().string();
}

bool lies_in(const std::string& dir, const std::string& prefix) {
  const size_t slash = prefix.rfind('/');
  return folder_key(slash == std::string::npos ? "" : prefix.substr(0, slash + 1)) == folder_key(dir);
}

// False when it is not there; throws when that cannot be told.
bool found(const absl::Status& status, const std::string& what) {
  if (!absl::IsNotFound(status) && !absl::IsFailedPrecondition(status)) throw_if_error(status, what);
  return status.ok();
}

Names names_in(const std::string& dir) {
  std::vector<std::string> names;
  if (!found(tf::Env::Default()->GetChildren(dir, &names), "listing " + dir)) return {};
  return {names.begin(), names.end()};
}

// What the file says, "" when there is none. A folder that cannot be read is not one without checkpoints: training
// would begin anew over them.
std::string state_text(const std::string& path) {
  tf::Env* env = tf::Env::Default();
  std::string text;
  uint64_t size = 0;
  if (!found(env->GetFileSize(path, &size), "looking at " + path)) return text;
  if (size > static_cast<uint64_t>(kMaxCheckpointText))
    throw DataError("it has " + std::to_string(size) + " bytes, expected at most " +
                    std::to_string(kMaxCheckpointText));
  found(tf::ReadFileToString(env, path, &text), "reading " + path);
  return text;
}

CheckpointText read_text(const std::string& dir) {
  const std::string path = tf::io::JoinPath(dir, kStateFile);
  try {
    return parse_checkpoint_text(state_text(path));
  } catch (const DataError& e) {
    throw DataError(path + " is no list of checkpoints: " + e.what());
  }
}

// Where paths of a state file lead.
class Resolver {
 public:
  Resolver(const std::string& dir, const Names& names) : dir_(dir), names_(names) {}

  std::string operator()(const std::string& path) const {
    if (path.empty()) return path;
    const std::string full = is_absolute(path) ? path : tf::io::JoinPath(dir_, path), name = base_name(path);
    const std::string here = tf::io::JoinPath(dir_, name);
    return lies_in(dir_, full) || names_.count(name + kIndexSuffix) ? here : full;
  }

 private:
  const std::string& dir_;
  const Names& names_;
};

CheckpointState read_state(const std::string& dir, const Names& names) {
  const CheckpointText text = read_text(dir);
  const Resolver resolve(dir, names);
  CheckpointState state;
  state.latest = resolve(text.latest);
  for (const std::string& path : text.all) state.all.push_back(resolve(path));
  const std::string named = is_absolute(text.latest) ? text.latest : tf::io::JoinPath(dir, text.latest);
  if (!text.latest.empty() && !lies_in(dir, named) && lies_in(dir, state.latest))
    state.note = "the file " + tf::io::JoinPath(dir, kStateFile) + " names " + named +
                 ", which is in another folder; " + state.latest + " of the same name is taken";
  for (const std::string& path : text.removing)
    if (step_of_checkpoint_name(path) >= 0) state.removing.push_back(tf::io::JoinPath(dir, path));
  if (step_of_checkpoint_name(text.saving) < 0) return state;
  state.saving = tf::io::JoinPath(dir, text.saving);
  if (!names.count(text.saving + kIndexSuffix)) return state;
  state.latest = state.saving;
  std::erase(state.all, state.saving);
  state.all.push_back(state.saving);
  return state;
}

// Those that lie in the folder, newest first.
std::vector<std::string> listed(const std::string& dir, const Names& names) {
  std::vector<int64_t> steps;
  for (const std::string& name : names) {
    bool is_data = false;
    const std::string checkpoint = checkpoint_of_file(name, &is_data);
    if (!checkpoint.empty() && !is_data) steps.push_back(step_of_checkpoint_name(checkpoint));
  }
  std::sort(steps.rbegin(), steps.rend());
  std::vector<std::string> prefixes;
  for (const int64_t step : steps) prefixes.push_back(checkpoint_prefix(dir, step));
  return prefixes;
}

}  // namespace

CheckpointState read_checkpoint_state(const std::string& dir) { return read_state(dir, names_in(dir)); }

void write_checkpoint_state(const std::string& dir, const CheckpointState& state) {
  const std::string start = dir.empty() || dir.back() == '/' ? dir : dir + "/";
  const auto relative = [&](const std::string& prefix) {
    if (!prefix.empty() && lies_in(dir, prefix)) return base_name(prefix);
    return prefix.rfind(start, 0) == 0 ? prefix.substr(start.size()) : prefix;  // also DIR/../other/model.ckpt-6
  };
  CheckpointText names{relative(state.latest), {}, relative(state.saving), {}};
  for (const std::string& prefix : state.all) names.all.push_back(relative(prefix));
  for (const std::string& prefix : state.removing) names.removing.push_back(relative(prefix));
  const std::string text = format_checkpoint_text(names);
  const std::string path = tf::io::JoinPath(dir, kStateFile), temporary = path + ".tmp";
  tf::Env* env = tf::Env::Default();
  if (!has_atomic_move(dir)) {  // a store shows an object only when it is whole
    throw_if_error(tf::WriteStringToFile(env, path, text), "writing " + path);
    return;
  }
  throw_if_error(tf::WriteStringToFile(env, temporary, text), "writing " + temporary);
  throw_if_error(env->RenameFile(temporary, path), "renaming " + temporary + " to " + path);
}

std::string checkpoint_prefix(const std::string& dir, int64_t step) {
  return tf::io::JoinPath(dir, checkpoint_name(step));
}

bool is_own_checkpoint(const std::string& dir, const std::string& prefix) {
  return !prefix.empty() && step_of_checkpoint_name(base_name(prefix)) >= 0 && lies_in(dir, prefix);
}

bool checkpoint_exists(const std::string& prefix) {
  return found(tf::Env::Default()->FileExists(prefix + kIndexSuffix), "looking for " + prefix + kIndexSuffix);
}

bool has_atomic_move(const std::string& dir) {
  bool result = true;
  return !tf::Env::Default()->HasAtomicMove(dir, &result).ok() || result;
}

void remove_checkpoint(const std::string& prefix) {
  tf::Env* env = tf::Env::Default();
  // The index first: a checkpoint without one is not there for any reader.
  env->DeleteFile(prefix + kIndexSuffix).IgnoreError();
  if (env->DeleteFile(prefix + ".data-00000-of-00001").ok()) return;  // as runs write them; TensorFlow may have more
  std::vector<std::string> names;
  const std::string dir(tf::io::Dirname(prefix)), checkpoint = base_name(prefix);
  if (!env->GetChildren(dir.empty() ? "." : dir, &names).ok()) return;
  for (const std::string& name : names) {
    bool is_data = false;
    if (checkpoint_of_file(name, &is_data) == checkpoint && is_data)
      env->DeleteFile(tf::io::JoinPath(dir, name)).IgnoreError();
  }
}

bool CheckpointsElsewhere::has(const std::string& prefix) {
  if (left_-- <= 0) return false;
  try {
    return checkpoint_exists(prefix);
  } catch (const Error& e) {
    left_ = 0;
    if (tell_) log_warning(std::string(e.what()) + "; older checkpoints of other folders are left out");
    return false;
  }
}

std::vector<std::string> checkpoints_in(const std::string& dir, bool tell) {
  const Names names = names_in(dir);
  const std::vector<std::string> here = listed(dir, names);
  CheckpointState state;
  try {
    state = read_state(dir, names);
    if (tell && !state.note.empty()) log_info(state.note);
  } catch (const DataError& e) {
    if (here.empty()) throw DataError(std::string(e.what()) + "; remove the file to start anew");
    if (tell)
      log_warning(std::string(e.what()) + "; the checkpoints that lie in the folder are looked at, newest first");
  }
  std::vector<std::string> prefixes;
  std::unordered_set<std::string> known;
  CheckpointsElsewhere elsewhere(tell);
  const auto add = [&](const std::string& prefix) {
    if (prefix.empty() || !known.insert(prefix).second) return;
    const bool is_there = lies_in(dir, prefix)     ? names.count(base_name(prefix) + kIndexSuffix) > 0
                          : prefix == state.latest ? checkpoint_exists(prefix)
                                                   : elsewhere.has(prefix);
    if (is_there) prefixes.push_back(prefix);
  };
  add(state.latest);
  for (auto it = state.all.rbegin(); it != state.all.rend(); ++it) add(*it);
  for (const std::string& prefix : here) add(prefix);
  if (tell && prefixes.empty() && !state.latest.empty())
    log_warning("the file " + tf::io::JoinPath(dir, kStateFile) + " names " + state.latest +
                ", which is not there, and no other checkpoint is");
  return prefixes;
}

std::vector<std::string> resolve_checkpoints(const std::string& path) {
  if (checkpoint_exists(path)) return {path};
  const std::string folder(tf::io::Dirname(path));
  if (!folder.empty() && !tf::Env::Default()->IsDirectory(folder).ok() && !tf::Env::Default()->IsDirectory(path).ok())
    throw NotFoundError("checkpoint_path '" + path + "': there is no folder '" + folder +
                        "'; give the folder of a run, or a prefix in one such as DIR/model.ckpt-1000");
  if (!tf::Env::Default()->IsDirectory(path).ok())
    throw NotFoundError("checkpoint_path '" + path + "' is neither a folder nor a checkpoint: there is no '" + path +
                        ".index'; give the folder of a run, or a prefix such as DIR/model.ckpt-1000");
  return checkpoints_in(path, true);
}

}  // namespace mox
