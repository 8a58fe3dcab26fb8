#include "input/input_memory.h"

#include <algorithm>

#include "base/limits.h"

namespace mox {
namespace {

// Sizes that are not known count as 1.
double bytes_of(const InputTensor& input) {
  double bytes = tensorflow::DataTypeSize(input.dtype);
  for (int i = 0; !input.shape.unknown_rank() && i < input.shape.dims(); ++i)
    bytes *= static_cast<double>(std::max<int64_t>(input.shape.dim_size(i), 1));
  return bytes;
}

}  // namespace

void check_input_memory(const InputGraph& input, const LiftOptions& options) {
  if (!options.auto_batch) return;
  double sample = 0;
  for (const InputTensor& output : input.outputs) sample += bytes_of(output);
  check_fits_memory("batch_size is " + std::to_string(options.batch_size) + ": a step's input on " +
                        std::to_string(options.num_towers) + (options.num_towers == 1 ? " device" : " devices"),
                    sample * static_cast<double>(options.batch_size) * options.num_towers, "lower batch_size");
}

}  // namespace mox
