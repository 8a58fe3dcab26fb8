#include "run/checkpoint_state.h"

#include <algorithm>
#include <charconv>

#include "base/pattern.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kStateFile[] = "checkpoint";
constexpr char kPrefix[] = "model.ckpt-";
constexpr char kIndexSuffix[] = ".index";

std::string in_dir(const std::string& dir, const std::string& path) {
  return path.empty() || path[0] == '/' || path.find("://") != std::string::npos ? path : tf::io::JoinPath(dir, path);
}

std::string unquoted(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    result += text[i];
  }
  return result;
}

std::string quoted(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// False when it is not there; throws when that cannot be told.
bool found(const absl::Status& status, const std::string& what) {
  if (!absl::IsNotFound(status) && !absl::IsFailedPrecondition(status)) throw_if_error(status, what);
  return status.ok();
}

// The N of "model.ckpt-N.index", -1 for another name.
int64_t step_of_index(const std::string& name) {
  const std::string_view view(name), prefix(kPrefix), suffix(kIndexSuffix);
  if (view.size() <= prefix.size() + suffix.size() || view.substr(0, prefix.size()) != prefix ||
      view.substr(view.size() - suffix.size()) != suffix)
    return -1;
  const std::string_view digits = view.substr(prefix.size(), view.size() - prefix.size() - suffix.size());
  int64_t step = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  return error == std::errc() && end == digits.data() + digits.size() ? step : -1;
}

}  // namespace

CheckpointState read_checkpoint_state(const std::string& dir) {
  CheckpointState state;
  std::string text;
  const std::string path = tf::io::JoinPath(dir, kStateFile);
  // A folder that cannot be read is not one without checkpoints: training would begin anew over them.
  if (!found(tf::ReadFileToString(tf::Env::Default(), path, &text), "reading " + path)) return state;
  static const Pattern line(R"re((model_checkpoint_path|all_model_checkpoint_paths):\s*"((?:[^"\\]|\\.)*)")re");
  for (const auto& groups : line.matches(text)) {
    const std::string prefix = in_dir(dir, unquoted(groups[2]));
    if (groups[1] == "model_checkpoint_path")
      state.latest = prefix;
    else
      state.all.push_back(prefix);
  }
  return state;
}

void write_checkpoint_state(const std::string& dir, const CheckpointState& state) {
  auto relative = [&](const std::string& prefix) {
    const std::string start = dir.empty() || dir.back() == '/' ? dir : dir + "/";
    return quoted(prefix.rfind(start, 0) == 0 ? prefix.substr(start.size()) : prefix);
  };
  std::string text = "model_checkpoint_path: \"" + relative(state.latest) + "\"\n";
  for (const std::string& prefix : state.all) text += "all_model_checkpoint_paths: \"" + relative(prefix) + "\"\n";
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
  return tf::io::JoinPath(dir, kPrefix + std::to_string(step));
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
  std::vector<std::string> files;
  // The index first: a checkpoint without one is not there for any reader.
  env->DeleteFile(prefix + kIndexSuffix).IgnoreError();
  if (env->GetMatchingPaths(prefix + ".data-*", &files).ok())
    for (const std::string& file : files) env->DeleteFile(file).IgnoreError();
}

void remove_temporary_checkpoints(const std::string& dir) {
  tf::Env* env = tf::Env::Default();
  std::vector<std::string> names;
  if (!env->GetChildren(dir, &names).ok()) return;
  for (const std::string& name : names)
    if (name.rfind(kPrefix, 0) == 0 && name.find(".tempstate") != std::string::npos)
      env->DeleteFile(tf::io::JoinPath(dir, name)).IgnoreError();
}

std::vector<std::string> checkpoints_in(const std::string& dir) {
  const CheckpointState state = read_checkpoint_state(dir);
  std::vector<std::string> prefixes;
  auto add = [&](const std::string& prefix) {
    if (prefix.empty() || std::find(prefixes.begin(), prefixes.end(), prefix) != prefixes.end()) return;
    if (checkpoint_exists(prefix)) prefixes.push_back(prefix);
  };
  add(state.latest);
  for (auto it = state.all.rbegin(); it != state.all.rend(); ++it) add(*it);
  std::vector<std::string> names;
  std::vector<int64_t> steps;
  if (found(tf::Env::Default()->GetChildren(dir, &names), "listing " + dir))
    for (const std::string& name : names)
      if (int64_t step = step_of_index(name); step >= 0) steps.push_back(step);
  std::sort(steps.rbegin(), steps.rend());
  for (int64_t step : steps) add(checkpoint_prefix(dir, step));
  return prefixes;
}

std::vector<std::string> resolve_checkpoints(const std::string& path) {
  if (checkpoint_exists(path)) return {path};
  if (!tf::Env::Default()->IsDirectory(path).ok())
    throw NotFoundError("checkpoint_path '" + path + "' is neither a folder nor a checkpoint: there is no '" + path +
                        ".index'; give the folder of a run, or a prefix such as DIR/model.ckpt-1000");
  std::vector<std::string> prefixes = checkpoints_in(path);
  if (prefixes.empty())
    throw NotFoundError("checkpoint_path '" + path + "' has no checkpoint: no file '" + kStateFile + "' and no " +
                        kPrefix + "N.index in it");
  return prefixes;
}

}  // namespace mox
