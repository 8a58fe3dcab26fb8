#include <algorithm>
#include <unordered_set>

#include "moxing/error.h"
#include "moxing/log.h"
#include "run/best_checkpoint.h"
#include "run/checkpoint_state.h"
#include "run/checkpoint_text.h"
#include "run/export_folder.h"
#include "run/run_config.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

bool begins_with(const std::string& name, std::string_view start) { return name.compare(0, start.size(), start) == 0; }

// As TensorFlow's writer calls them: model.ckpt-12.index.tempstate1234567890.
bool is_temporary_checkpoint(const std::string& name) {
  const size_t end = name.find(".tempstate");
  bool is_data = false;
  return end != std::string::npos && !checkpoint_of_file(name.substr(0, end), &is_data).empty();
}

void remove_file(const std::string& dir, const std::string& name) {
  tf::Env::Default()->DeleteFile(tf::io::JoinPath(dir, name)).IgnoreError();
}

// Data of checkpoints that nobody names and that have no index: no reader finds them.
void remove_data_without_index(const std::string& dir, const std::vector<std::string>& names,
                               const std::vector<std::string>& named) {
  const std::unordered_set<std::string> there(names.begin(), names.end()), kept(named.begin(), named.end());
  for (const std::string& name : names) {
    bool is_data = false;
    const std::string checkpoint = checkpoint_of_file(name, &is_data);
    if (checkpoint.empty() || !is_data || there.count(checkpoint + ".index")) continue;
    if (!kept.count(tf::io::JoinPath(dir, checkpoint))) remove_file(dir, name);
  }
}

}  // namespace

std::vector<std::string> names_found_in(const std::string& dir) {
  std::vector<std::string> names;
  if (!tf::Env::Default()->GetChildren(dir, &names).ok()) names.clear();
  return names;
}

void remove_temporary_checkpoints(const std::string& dir) {
  for (const std::string& name : names_found_in(dir))
    if (is_temporary_checkpoint(name)) remove_file(dir, name);
}

void remove_leftovers(const std::string& dir) {
  const std::vector<std::string> names = names_found_in(dir);
  for (const std::string& name : names)
    if (is_temporary_checkpoint(name) || begins_with(name, kWriteProbe) || name == "checkpoint.tmp" ||
        name == "best_checkpoint.json.tmp")
      remove_file(dir, name);
  remove_dead_exports(dir);
  CheckpointState state;
  try {
    state = read_checkpoint_state(dir);
  } catch (const DataError&) {
    return;  // told when the checkpoint was looked for
  }
  const std::string best = best_checkpoint_in(dir);
  for (const std::string& prefix : state.removing)
    if (prefix != best && std::find(state.all.begin(), state.all.end(), prefix) == state.all.end())
      remove_checkpoint(prefix);
  remove_data_without_index(dir, names, state.all);
  if (state.removing.empty() && state.saving.empty()) return;
  state.removing.clear();
  state.saving.clear();
  try {
    write_checkpoint_state(dir, state);
  } catch (const Error& e) {  // the next save writes it anew
    log_warning(e.what());
  }
}

}  // namespace mox
