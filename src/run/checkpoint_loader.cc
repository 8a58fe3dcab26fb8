#include "run/checkpoint_loader.h"

#include <fmt/format.h>

#include "base/pattern.h"
#include "graph/average_name.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_state.h"
#include "run/finetune.h"
#include "run/near_names.h"
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

struct Found {
  LoadedCheckpoint checkpoint;
  size_t averages = 0;  // values that are averages of model_ema
  bool has_averages = false;
  std::vector<std::string> missing;  // variables of the model that it lacks
  std::vector<std::string> misfits;  // "name: model [3,3], checkpoint [5,5]"
};

// What of `wanted` the checkpoint has; of variables with an average that, with `averages`.
Found read(const std::string& prefix, const std::vector<VariableInfo>& wanted, const FiniteWeights& weights,
           bool averages = false) {
  tf::BundleReader reader(tf::Env::Default(), prefix);
  if (!reader.status().ok()) throw BrokenCheckpoint(std::string(reader.status().message()));
  Found found;
  found.checkpoint.prefix = prefix;
  for (const VariableInfo& variable : wanted) {
    const bool has_average = reader.Contains(average_name(variable.name)), is_average = averages && has_average;
    found.has_averages |= has_average;
    const std::string name = is_average ? average_name(variable.name) : variable.name;
    found.averages += is_average;
    if (!reader.Contains(name)) {
      if (!variable.optional) found.missing.push_back(variable.name);
      continue;
    }
    tf::Tensor value;
    auto status = reader.Lookup(name, &value);
    if (!status.ok()) throw BrokenCheckpoint(name + ": " + std::string(status.message()));
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
                  const FiniteWeights& weights, bool averages = false) {
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
      Found found = read(prefix, wanted, weights, averages);
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
                             " does not fit the model: " + shortened_names(found.misfits) +
                             "; leave such variables out with --checkpoint_exclude_patterns");
}

// use_ema is a TRAIN's when it exports: it goes on from the variables themselves.
bool takes_averages(const RunConfig& config) { return config.use_ema && config.run_mode != ModeKeys::TRAIN; }

void check_averages(const Found& found, const RunConfig& config) {
  if (!takes_averages(config)) return;
  if (found.averages == 0)
    throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                               " holds no averages: its training had no model_ema; leave use_ema out");
  log_info(fmt::format("use_ema: the averages of {} variables in place of their values", found.averages));
}

LoadedCheckpoint resume(const std::vector<std::string>& prefixes, const std::vector<VariableInfo>& variables,
                        const FiniteWeights& weights, const RunConfig& config) {
  Found found = read_newest(prefixes, variables, weights, takes_averages(config));
  check_averages(found, config);
  if (!found.misfits.empty()) reject_misfits(found);
  if (!found.missing.empty())
    throw InvalidArgumentError(
        "checkpoint " + found.checkpoint.prefix +
        " of log_dir lacks variables of this model: " + shortened_names(found.missing) +
        "; it is another model's, or another optimizer's: use another log_dir, and give this one as "
        "checkpoint_path to start from what fits");
  if (found.has_averages && config.run_mode == ModeKeys::TRAIN && config.model_ema == 0)
    log_warning("log_dir's checkpoint holds averages of the weights, but model_ema is not given: they end here");
  const char* ignored = !config.finetune.empty()          ? "; finetune is ignored"
                        : !config.checkpoint_path.empty() ? "; checkpoint_path is ignored"
                                                          : "";
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
  Found found = read(checkpoint->prefix, excluded, weights, takes_averages(config));
  std::vector<std::string> loaded, initial;
  for (const VariableInfo& variable : excluded)
    (found.checkpoint.values.count(variable.name) ? loaded : initial).push_back(variable.name);
  const std::string mode = to_string(config.run_mode);
  if (!loaded.empty())
    log_warning(
        fmt::format("{} trains nothing: what checkpoint_include_patterns and checkpoint_exclude_patterns leave "
                    "out is loaded, too: {}",
                    mode, shortened_names(loaded)));
  if (!initial.empty())
    log_warning(
        fmt::format("{} runs with initial values of variables that checkpoint_include_patterns and "
                    "checkpoint_exclude_patterns leave out: {}",
                    mode, shortened_names(initial)));
  checkpoint->values.merge(found.checkpoint.values);
}

// "loaded 100 of 102 variables from checkpoint P; not in it: a; left out by the patterns: b"
std::string what_was_loaded(const LoadedCheckpoint& checkpoint, size_t variables,
                            const std::vector<std::string>& missing, const std::vector<std::string>& excluded) {
  std::string line = fmt::format("loaded {} of {} variables from checkpoint {}", checkpoint.values.size(), variables,
                                 checkpoint.prefix);
  if (!missing.empty()) line += "; not in it, initialised: " + shortened_names(missing);
  if (!excluded.empty()) line += "; left out by the patterns: " + shortened_names(excluded);
  return line;
}

constexpr char kGlobalStep[] = "global_step";

// A training that starts from another's checkpoint counts its own steps, and has its own state of a run (seeds, hooks).
bool is_of_the_run(const VariableInfo& variable) { return variable.optional || variable.name == kGlobalStep; }

void hint_at_unmatched(const std::vector<VariableInfo>& variables, const RunConfig& config) {
  const std::vector<std::string> names = names_of(variables);
  for (const auto& [flag, patterns] : {std::pair("checkpoint_include_patterns", &config.include_patterns),
                                       std::pair("checkpoint_exclude_patterns", &config.exclude_patterns)})
    if (const std::string hint = unmatched_hint(*patterns, names); !hint.empty())
      log_warning(fmt::format("{}: {}", flag, hint));
}

LoadedCheckpoint start_from(const std::vector<std::string>& prefixes, const std::vector<VariableInfo>& variables,
                            const FiniteWeights& weights, const RunConfig& config) {
  const bool trains = config.run_mode == ModeKeys::TRAIN;
  std::vector<VariableInfo> wanted, excluded;
  for (const VariableInfo& variable : variables) {
    if (trains && is_of_the_run(variable)) continue;
    const bool is_wanted = matches_patterns(variable.name, config.include_patterns, config.exclude_patterns);
    (is_wanted ? wanted : excluded).push_back(variable);
  }
  if (trains) hint_at_unmatched(variables, config);
  if (wanted.empty() && !variables.empty())
    throw InvalidArgumentError(
        fmt::format("checkpoint_include_patterns and checkpoint_exclude_patterns leave none of the model's {} "
                    "variables to load from {}; change them, or leave checkpoint_path out",
                    variables.size(), config.checkpoint_path));
  Found found = read_newest(prefixes, wanted, weights, takes_averages(config));
  check_averages(found, config);
  if (!found.misfits.empty()) reject_misfits(found);
  if (found.checkpoint.values.empty() && !variables.empty())
    throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                               " has none of the model's variables: " + shortened_names(found.missing));
  if (!found.missing.empty() && !trains)
    throw InvalidArgumentError("checkpoint " + found.checkpoint.prefix +
                               " lacks variables of the model: " + shortened_names(found.missing));
  if (trains)
    found.checkpoint.global_step = 0;
  else
    load_excluded(excluded, weights, config, &found.checkpoint);
  log_info(what_was_loaded(found.checkpoint, wanted.size() + excluded.size(), found.missing,
                           trains ? names_of(excluded) : std::vector<std::string>()));
  return std::move(found.checkpoint);
}

}  // namespace

std::vector<std::string> split_patterns(const std::string& comma_separated) { return split_list(comma_separated); }

bool matches_patterns(const std::string& name, const std::vector<std::string>& include,
                      const std::vector<std::string>& exclude) {
  auto any = [&](const std::vector<std::string>& patterns) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return Pattern(pattern, true).found_in(name); });
  };
  return (include.empty() || any(include)) && !any(exclude);
}

LoadedCheckpoint load_checkpoint(const std::vector<VariableInfo>& variables, const FiniteWeights& weights,
                                 const RunConfig& config) {
  if (!config.log_dir.empty()) {
    const std::vector<std::string> own = checkpoints_in(config.log_dir, true);
    if (!own.empty()) return resume(own, variables, weights, config);
  }
  if (!config.finetune.empty()) {
    Found found = read_newest(finetune_prefixes(config.finetune), finetuned_variables(variables, config), weights);
    tell_finetuned(found.checkpoint, found.missing, found.misfits, config);
    found.checkpoint.global_step = 0;
    return std::move(found.checkpoint);
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
  const bool needs_values =
      std::any_of(variables.begin(), variables.end(), [](const VariableInfo& v) { return !v.optional; });
  if (config.run_mode != ModeKeys::TRAIN && needs_values)
    throw NotFoundError(fmt::format("{} needs a checkpoint: log_dir '{}' has none and checkpoint_path is not given",
                                    to_string(config.run_mode), config.log_dir));
  return {};
}

}  // namespace mox
