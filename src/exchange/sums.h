// How a process with several devices joins their gradients.
#pragma once

namespace mox {

enum class Sums {
  kOnHost,     // variable_update=replicated_host: in host memory, in buckets
  kOnDevices,  // variable_update=replicated: by NCCL on GPUs; on CPUs each for itself beside its variable
  kTried,      // auto: the graph has both, see StepVariant; not for GPUs
};

}  // namespace mox
