// A pass that makes the gradient of a fully connected layer faster.
//
// The gradient of x * w by x is dy * w^T. With few rows in dy and a large w, the CPU kernel for a transposed right side
// runs at a quarter of the speed of the plain product (measured: 16.6 ms against 3.8 ms for 50 x 1024 x 3136). The pass
// computes (w * dy^T)^T instead: the same sums, and only the small matrices are transposed.
#pragma once

#include <map>
#include <string>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace mox {

// `variables`: shape by the name of the variable's handle node. `rows`: how many rows the left sides have (the batch);
// products with weights that are not larger than that stay as they are. Returns how many were rewritten.
MOX_EXPORT int rewrite_transposed_matmuls(tensorflow::GraphDef* graph,
                                          const std::map<std::string, tensorflow::TensorShape>& variables,
                                          int64_t rows);

}  // namespace mox
