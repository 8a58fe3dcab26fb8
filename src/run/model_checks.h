// Checks of what the user's functions returned. All throw InvalidArgumentError that says what was got and expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/mode_keys.h"
#include "run/language.h"
#include "run/returned.h"

namespace mox {

// input_fn: at least one tensor, all of its own graph.
void check_input(const std::vector<Returned>& tensors, Language language);

// Whether the samples that auto_batch is to join look like batches already: all begin with one size, and it is the
// batch size or there are pictures [N, height, width, channels] among them. A warning then names the cure.
void warn_of_batches(const std::vector<Returned>& tensors, int64_t batch_size, Language language);
// Samples a batch: `given`, or with 0, when input_fn gives batches, the first input's static size; 0: not known.
int64_t batch_size_of(int64_t given, const InputTensor& first);

// model_fn: what the mode needs is there, losses and log_info are scalars, all are tensors of its graph, and there is
// one list of var_scopes a loss or none. `option`: run_mode or inter_mode, which set the mode.
void check_spec(const ReturnedSpec& spec, ModeKeys mode, const char* option, Language language);

// optimizer_fn: one optimizer a loss, or one for all.
MOX_EXPORT void check_optimizer_count(size_t optimizers, size_t losses);
// `instead`: what is no optimizer, or no hook.
[[noreturn]] MOX_EXPORT void reject_optimizer(const std::string& instead, Language language);
[[noreturn]] MOX_EXPORT void reject_hook(const std::string& instead, Language language);

}  // namespace mox
