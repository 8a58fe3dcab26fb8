// For hooks of our own that hold no tensor of the graph.
#pragma once

#include "moxing/export.h"

namespace mox {

// What a C++ hook made or keeps may be tensors of the graph that the functions built: with a hook that graph lives as
// long as the run, beside what is made of it, some 2.5 KB a node. Not for a hook that is this, too.
class MOX_EXPORT TensorFreeHook {
 public:
  virtual ~TensorFreeHook() = default;
};

}  // namespace mox
