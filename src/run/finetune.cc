#include "run/finetune.h"

#include <fmt/format.h>

#include <set>

#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_state.h"
#include "run/near_names.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kListFile[] = "finetune.txt";

bool is_power(const std::string& name) {
  return name.rfind("beta1_power", 0) == 0 || name.rfind("beta2_power", 0) == 0;
}

// Slots are named below their variable: conv1/weights/Momentum.
bool is_slot(const std::string& name, const std::set<std::string>& trainable) {
  for (size_t slash = name.rfind('/'); slash != std::string::npos && slash > 0; slash = name.rfind('/', slash - 1))
    if (trainable.count(name.substr(0, slash))) return true;
  return false;
}

void write_list(const LoadedCheckpoint& checkpoint, const std::vector<std::string>& missing,
                const std::vector<std::string>& misfits, const std::string& log_dir) {
  std::string text = "# from " + checkpoint.prefix + "\n";
  for (const auto& [name, value] : checkpoint.values) text += "loaded\t" + name + "\n";
  for (const std::string& misfit : misfits) text += "another shape\t" + misfit + "\n";
  for (const std::string& name : missing) text += "not in the checkpoint\t" + name + "\n";
  const std::string path = tf::io::JoinPath(log_dir, kListFile);
  const absl::Status status = tf::WriteStringToFile(tf::Env::Default(), path, text);
  if (!status.ok()) log_warning(fmt::format("{} was not written: {}", path, std::string(status.message())));
}

}  // namespace

std::vector<std::string> finetune_prefixes(const std::string& path) {
  std::vector<std::string> prefixes;
  if (checkpoint_exists(path))
    prefixes = {path};
  else if (tf::Env::Default()->IsDirectory(path).ok())
    prefixes = checkpoints_in(path, true);
  if (prefixes.empty())
    throw NotFoundError("finetune: there is no checkpoint at '" + path +
                        "'; give the folder of a training, or a prefix such as DIR/model.ckpt-1000");
  return prefixes;
}

std::vector<VariableInfo> finetuned_variables(const std::vector<VariableInfo>& variables, const RunConfig& config) {
  std::set<std::string> trainable;
  for (const VariableInfo& variable : variables)
    if (variable.trainable) trainable.insert(variable.name);
  std::vector<VariableInfo> own;
  for (const VariableInfo& variable : variables)
    if (!variable.optional && variable.name != "global_step" && !is_power(variable.name) &&
        !is_slot(variable.name, trainable) &&
        matches_patterns(variable.name, config.include_patterns, config.exclude_patterns))
      own.push_back(variable);
  return own;
}

void tell_finetuned(const LoadedCheckpoint& checkpoint, const std::vector<std::string>& missing,
                    const std::vector<std::string>& misfits, const RunConfig& config) {
  const size_t all = checkpoint.values.size() + missing.size() + misfits.size();
  if (checkpoint.values.empty())
    throw InvalidArgumentError(fmt::format(
        "finetune: checkpoint {} has none of the model's {} variables in their shapes: {}; it is another network's",
        checkpoint.prefix, all, shortened_names(misfits.empty() ? missing : misfits)));
  std::string line = fmt::format("finetune: loaded {} of {} variables of the model from {}", checkpoint.values.size(),
                                 all, checkpoint.prefix);
  if (!misfits.empty()) line += "; begun anew, of another shape: " + shortened_names(misfits);
  if (!missing.empty()) line += "; begun anew, not in it: " + shortened_names(missing);
  log_info(line);
  if (!config.log_dir.empty()) write_list(checkpoint, missing, misfits, config.log_dir);
}

}  // namespace mox
