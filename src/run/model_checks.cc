#include "run/model_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {
namespace {

void reject_if(bool wrong, const std::string& message) {
  if (wrong) throw InvalidArgumentError(message);
}

// Of a shape whose rank is not known nothing is said.
bool is_scalar(const Returned& value) { return value.tensor.shape.dims() <= 0; }

void check_needs(const ReturnedSpec& spec, ModeKeys mode, const char* option) {
  const auto need = [&](bool given, const char* field) {
    reject_if(!given, fmt::format("model_fn's ModelSpec lacks {}, which {} {} needs", field, option, to_string(mode)));
  };
  if (mode == ModeKeys::TRAIN) need(!spec.losses.empty(), "loss");
  if (mode == ModeKeys::EVAL) need(!spec.log_info.empty(), "log_info");
  if (mode == ModeKeys::PREDICT) need(!spec.output_info.empty(), "output_info");
  if (mode == ModeKeys::EXPORT) need(spec.export_spec.has_value(), "export_spec");
}

void check_losses(const ReturnedSpec& spec, const Idioms& idioms) {
  for (size_t i = 0; i < spec.losses.size(); ++i) {
    const Returned& loss = spec.losses[i];
    reject_if(!loss.instead.empty(),
              fmt::format("ModelSpec.loss[{}] of model_fn is {}, expected a tensor of its graph", i, loss.instead));
    reject_if(loss.outside,
              fmt::format("ModelSpec.loss[{}] of model_fn, {}, was made outside of model_fn", i, loss.tensor.name));
    reject_if(!is_scalar(loss), fmt::format("ModelSpec.loss must be a scalar, '{}' has shape {}; take its mean ({})",
                                            loss.tensor.name, loss.tensor.shape.DebugString(), idioms.mean));
  }
  reject_if(!spec.var_scopes.empty() && spec.var_scopes.size() != spec.losses.size(),
            fmt::format("ModelSpec has {} var_scopes for {} losses; give one list of scopes a loss",
                        spec.var_scopes.size(), spec.losses.size()));
}

void check_named(const std::vector<NamedReturned>& values, const std::string& field, ModeKeys mode) {
  for (const auto& [name, value] : values) {
    reject_if(!value.instead.empty(), fmt::format("{}['{}'] of model_fn is {}, expected a tensor ({})", field, name,
                                                  value.instead, to_string(mode)));
    reject_if(value.outside, fmt::format("{}['{}'] of model_fn, {}, was made outside of model_fn ({})", field, name,
                                         value.tensor.name, to_string(mode)));
  }
}

void check_signatures(const ReturnedSpec::Export& spec, ModeKeys mode) {
  for (size_t i = 0; i < spec.signatures.size(); ++i) {
    const auto& [name, inputs, outputs] = spec.signatures[i];
    const std::string field = i == 0 ? "export_spec" : fmt::format("export_spec.signatures['{}']", name);
    if (i > 0) {
      reject_if(name.empty() || name == kDefaultSignature,
                fmt::format("{} of model_fn: a further signature cannot have this name; {} is made of inputs_dict and "
                            "outputs_dict",
                            field, kDefaultSignature));
      reject_if(inputs.empty() || outputs.empty(),
                fmt::format("{} of model_fn has {} inputs and {} outputs, expected at least one of each", field,
                            inputs.size(), outputs.size()));
    }
    check_named(inputs, field + ".inputs_dict", mode);
    check_named(outputs, field + ".outputs_dict", mode);
  }
}

}  // namespace

void check_input(const std::vector<Returned>& tensors, Language language) {
  reject_if(tensors.empty(), "input_fn returned no tensor; return at least one");
  for (size_t i = 0; i < tensors.size(); ++i) {
    reject_if(!tensors[i].instead.empty(),
              fmt::format("input_fn returned {} as element {}; {}", tensors[i].instead, i, idioms_of(language).inputs));
    reject_if(tensors[i].outside,
              fmt::format("input_fn returned {}, a tensor that was made outside of input_fn; build the input inside "
                          "the function",
                          tensors[i].tensor.name));
  }
}

void warn_of_batches(const std::vector<Returned>& tensors, int64_t batch_size, Language language) {
  int64_t leading = -1;
  bool pictures = false;
  for (const Returned& returned : tensors) {
    const tensorflow::PartialTensorShape& shape = returned.tensor.shape;
    if (shape.dims() < 1 || shape.dim_size(0) <= 1) return;
    if (leading >= 0 && shape.dim_size(0) != leading) return;
    leading = shape.dim_size(0);
    pictures = pictures || shape.dims() == 4;
  }
  if (tensors.size() < 2 || (leading != batch_size && !pictures)) return;
  log_warning(
      fmt::format("input_fn returns tensors that all begin with {0}: where these are batches of {0}, they would be "
                  "joined to batches of "
                  "{1} times {0}; then leave batch_size out{2}, or return single samples",
                  leading, batch_size,
                  language == Language::kPython ? " (or give auto_batch=False)" : " (or set auto_batch to false)"));
}

int64_t batch_size_of(int64_t given, const InputTensor& first) {
  if (given > 0) return given;
  const tensorflow::PartialTensorShape& shape = first.shape;
  reject_if(shape.dims() == 0,
            fmt::format("batch_size is needed: without it input_fn gives batches, and the first input {} has shape {}",
                        first.name, shape.DebugString()));
  return shape.dims() < 0 ? 0 : std::max<int64_t>(0, shape.dim_size(0));
}

void check_spec(const ReturnedSpec& spec, ModeKeys mode, const char* option, Language language) {
  const Idioms& idioms = idioms_of(language);
  check_needs(spec, mode, option);
  check_losses(spec, idioms);
  check_named(spec.log_info, "log_info", mode);
  for (const auto& [name, value] : spec.log_info)
    reject_if(!is_scalar(value),
              fmt::format("log_info['{}'] of model_fn must be a scalar, it has shape {}; take its mean ({})", name,
                          value.tensor.shape.DebugString(), idioms.mean));
  check_named(spec.output_info, "output_info", mode);
  if (!spec.export_spec) return;
  check_signatures(*spec.export_spec, mode);
}

void check_optimizer_count(size_t optimizers, size_t losses) {
  reject_if(optimizers != 1 && optimizers != losses,
            fmt::format("optimizer_fn gives {} optimizers for {} losses; give one, or one a loss", optimizers, losses));
}

void reject_optimizer(const std::string& instead, Language language) {
  throw InvalidArgumentError(fmt::format("optimizer_fn returned {}; {}", instead, idioms_of(language).optimizers));
}

void reject_hook(const std::string& instead, Language language) {
  throw InvalidArgumentError(fmt::format("ModelSpec.hooks has {}, expected {}", instead, idioms_of(language).hooks));
}

}  // namespace mox
