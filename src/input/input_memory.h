// Whether the batches of a step can be in memory at all.
#pragma once

#include "input/lift_input.h"

namespace mox {

// InvalidArgumentError that names batch_size, as far as the shapes of the inputs are known.
void check_input_memory(const InputGraph& input, const LiftOptions& options);

}  // namespace mox
