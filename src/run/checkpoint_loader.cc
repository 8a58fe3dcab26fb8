#include "run/checkpoint_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/pattern.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_state.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// A checkpoint cannot be read: broken or half-written, not merely another model's.
class BrokenCheckpoint : public DataError {
 public:
  using DataError::DataError;
};

// It can be read, and is of no use: an older version, or another program, saved it after the training had diverged.
class PoisonedCheckpoint : public DataError {
 public:
  using DataError::DataError;
};

constexpr char kHasNoCheckpoint[] = "has no checkpoint: no file 'checkpoint' and no model.ckpt-N.index in it";

// "a, b, c and 12 more"
std::string shortened(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  if (names.size() <= kShown) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

struct Found {
  LoadedCheckpoint checkpoint;
  std::vector<std::string> missing;  // variables of the model that it lacks
  std::vector<std::string> misfits;  // "name: model [3,3], checkpoint [5,5]"
};

Found read(const std::string& prefix, const std::vector<VariableInfo>& wanted, const FiniteWeights& weights) {
  tf::BundleReader reader(tf::Env::Default(), prefix);
  if (!reader.status().ok()) throw BrokenCheckpoint(std::string(reader.status().message()));
  Found found;
  found.checkpoint.prefix = prefix;
  for (const VariableInfo& variable : wanted) {
    if (!reader.Contains(variable.name)) {
      if (!variable.optional) found.missing.push_back(variable.name);
      continue;
    }
    tf::Tensor value;
    auto status = reader.Lookup(variable.name, &value);
    if (!status.ok()) throw BrokenCheckpoint(variable.name + ": " + std::string(status.message()));
    if (value.shape() != variable.shape || value.dtype() != variable.dtype) {
      if (variable.optional) continue;
      found.misfits.push_back(fmt::format("{}: the model's is {} {}, the checkpoint's {} {}", variable.name,
                                          tf::DataTypeString(variable.dtype), variable.shape.DebugString(),
                                          tf::DataTypeString(value.dtype()), value.shape().DebugString()));
      continue;
    }
    if (const std::string problem = weights.problem(variable.name, value); !problem.empty())
      throw PoisonedCheckpoint(problem);
    found.checkpoint.values[variable.name] = std::move(value);
  }
  tf::Tensor step;
  if (reader.Contains("global_step") && reader.Lookup("global_step", &step).ok() && step.dtype() == tf::DT_INT64 &&
      step.NumElements() == 1)
    found.checkpoint.global_step = step.flat<int64_t>()(0);
  if (found.checkpoint.global_step < 0)
    throw BrokenCheckpoint(fmt::format("its global_step is {}, expected 0 or more", found.checkpoint.global_step));
  return found;
}

// The newest of `prefixes` that is whole and finite; DataError when none is.
Found read_newest(const std::vector<std::string>& prefixes, const std::vector<VariableInfo>& wanted,
                  const FiniteWeights& weights) {
  std::vector<std::string> rejected;
  std::string first_error;
  const auto reject = [&](const std::string& prefix, const std::string& what, const std::string& error) {
    log_warning(fmt::format("checkpoint {} {} ({}){}", prefix, what, error,
                            prefix == prefixes.back() ? "" : "; trying the one before it"));
    rejected.push_back(prefix);
    if (first_error.empty()) first_error = error;
  };
  for (const std::string& prefix : prefixes) {
    try {
      Found found = read(prefix, wanted, weights);
      found.checkpoint.rejected = std::move(rejected);
      return found;
    } catch (const BrokenCheckpoint& e) {
      reject(prefix, "is broken", e.what());
    } catch (const PoisonedCheckpoint& e) {
      reject(prefix, "was saved after the training had diverged", e.what());
    }
  }
  throw DataError(fmt::format("none of the {} checkpoints from {} down can be read: {}; remove them to start anew",
                              prefixes.size(), prefixes.front(), first_error));
}

[[noreturn]] void reject_misfits(const Found& found) {
  throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                             " does not fit the model: " + shortened(found.misfits) +
                             "; leave such variables out with --checkpoint_exclude_patterns");
}

LoadedCheckpoint resume(const std::vector<std::string>& prefixes, const std::vector<VariableInfo>& variables,
                        const FiniteWeights& weights, const RunConfig& config) {
  Found found = read_newest(prefixes, variables, weights);
  if (!found.misfits.empty()) reject_misfits(found);
  if (!found.missing.empty())
    throw InvalidArgumentError(
        "checkpoint " + found.checkpoint.prefix +
        " of log_dir lacks variables of this model: " + shortened(found.missing) +
        "; it is another model's, or another optimizer's: use another log_dir, and give this one as "
        "checkpoint_path to start from what fits");
  const char* ignored = config.checkpoint_path.empty() ? "" : "; checkpoint_path is ignored";
  log_info("log_dir has checkpoint " + found.checkpoint.prefix + ": going on from it" + ignored);
  found.checkpoint.resumed = true;
  return std::move(found.checkpoint);
}

std::vector<std::string> names_of(const std::vector<VariableInfo>& variables) {
  std::vector<std::string> names;
  for (const VariableInfo& variable : variables) names.push_back(variable.name);
  return names;
}

// What the patterns leave out is for TRAIN to begin anew. Where nothing is trained, it is loaded where it fits.
void load_excluded(std::vector<VariableInfo> excluded, const FiniteWeights& weights, const RunConfig& config,
                   LoadedCheckpoint* checkpoint) {
  std::erase_if(excluded, [](const VariableInfo& variable) { return variable.optional; });
  if (excluded.empty()) return;
  Found found = read(checkpoint->prefix, excluded, weights);
  std::vector<std::string> loaded, initial;
  for (const VariableInfo& variable : excluded)
    (found.checkpoint.values.count(variable.name) ? loaded : initial).push_back(variable.name);
  const std::string mode = to_string(config.run_mode);
  if (!loaded.empty())
    log_warning(
        fmt::format("{} trains nothing: what checkpoint_include_patterns and checkpoint_exclude_patterns leave "
                    "out is loaded, too: {}",
                    mode, shortened(loaded)));
  if (!initial.empty())
    log_warning(
        fmt::format("{} runs with initial values of variables that checkpoint_include_patterns and "
                    "checkpoint_exclude_patterns leave out: {}",
                    mode, shortened(initial)));
  checkpoint->values.merge(found.checkpoint.values);
}

// "loaded 100 of 102 variables from checkpoint P; not in it: a; left out by the patterns: b"
std::string what_was_loaded(const LoadedCheckpoint& checkpoint, size_t variables,
                            const std::vector<std::string>& missing, const std::vector<std::string>& excluded) {
  std::string line = fmt::format("loaded {} of {} variables from checkpoint {}", checkpoint.values.size(), variables,
                                 checkpoint.prefix);
  if (!missing.empty()) line += "; not in it, initialised: " + shortened(missing);
  if (!excluded.empty()) line += "; left out by the patterns: " + shortened(excluded);
  return line;
}

LoadedCheckpoint start_from(const std::vector<std::string>& prefixes, const std::vector<VariableInfo>& variables,
                            const FiniteWeights& weights, const RunConfig& config) {
  std::vector<VariableInfo> wanted, excluded;
  for (const VariableInfo& variable : variables) {
    const bool is_wanted = matches_patterns(variable.name, config.include_patterns, config.exclude_patterns);
    (is_wanted ? wanted : excluded).push_back(variable);
  }
  if (wanted.empty() && !variables.empty())
    throw InvalidArgumentError(
        fmt::format("checkpoint_include_patterns and checkpoint_exclude_patterns leave none of the model's {} "
                    "variables to load from {}; change them, or leave checkpoint_path out",
                    variables.size(), config.checkpoint_path));
  Found found = read_newest(prefixes, wanted, weights);
  if (!found.misfits.empty()) reject_misfits(found);
  if (found.checkpoint.values.empty() && !variables.empty())
    throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                               " has none of the model's variables: " + shortened(found.missing));
  if (!found.missing.empty() && config.run_mode != ModeKeys::TRAIN)
    throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                               " lacks variables of the model: " + shortened(found.missing));
  const bool trains = config.run_mode == ModeKeys::TRAIN;
  if (!trains) load_excluded(excluded, weights, config, &found.checkpoint);
  log_info(what_was_loaded(found.checkpoint, variables.size(), found.missing,
                           trains ? names_of(excluded) : std::vector<std::string>()));
  return std::move(found.checkpoint);
}

}  // namespace

std::vector<std::string> split_patterns(const std::string& comma_separated) { return split_list(comma_separated); }

bool matches_patterns(const std::string& name, const std::vector<std::string>& include,
                      const std::vector<std::string>& exclude) {
  auto any = [&](const std::vector<std::string>& patterns) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return Pattern(pattern).found_in(name); });
  };
  return (include.empty() || any(include)) && !any(exclude);
}

LoadedCheckpoint load_checkpoint(const std::vector<VariableInfo>& variables, const FiniteWeights& weights,
                                 const RunConfig& config) {
  if (!config.log_dir.empty()) {
    const std::vector<std::string> own = checkpoints_in(config.log_dir, true);
    if (!own.empty()) return resume(own, variables, weights, config);
  }
  if (!config.checkpoint_path.empty()) {
    const std::vector<std::string> prefixes = resolve_checkpoints(config.checkpoint_path);
    if (!prefixes.empty()) return start_from(prefixes, variables, weights, config);
    if (config.run_mode != ModeKeys::TRAIN)
      throw NotFoundError("checkpoint_path '" + config.checkpoint_path + "' " + kHasNoCheckpoint);
    log_info("checkpoint_path '" + config.checkpoint_path + "' " + kHasNoCheckpoint +
             ": all variables are initialised");
    return {};
  }
  if (config.run_mode != ModeKeys::TRAIN && !variables.empty())
    throw NotFoundError(fmt::format("{} needs a checkpoint: log_dir '{}' has none and checkpoint_path is not given",
                                    to_string(config.run_mode), config.log_dir));
  return {};
}

}  // namespace mox
