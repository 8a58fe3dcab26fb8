// Seeded random operations and their stateless counterparts.
#pragma once

#include <string>

#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// Draws from a generator of its own, seeded, and has a stateless counterpart.
bool is_seeded_random_op(const tensorflow::NodeDef& node);
// The int64 scalar that tells such an operation from others: made of its seeds.
tensorflow::Tensor random_key(const tensorflow::NodeDef& node);
// Makes it the stateless one. `seed`: a tensor of two int64.
void make_stateless(tensorflow::NodeDef* node, const std::string& seed);

}  // namespace mox
