// What the built-in optimizers share beside SlotOptimizer. Private to the engine.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "moxing/initializers.h"
#include "moxing/slot_optimizer.h"

namespace mox {

// `scope` with its operations placed where `variable` lives.
Scope on_variable_device(const Scope& scope, const Variable& variable);

// A variable on `device`, not trainable, `name` made unique by _1, _2, … as TF 1 does.
Variable create_unique_variable(const Scope& scope, const std::string& device, const std::string& name,
                                const tensorflow::TensorShape& shape, tensorflow::DataType dtype,
                                const Initializer& initializer);
// Where `variable` lives.
std::string device_of(const Variable& variable);

// `tensor` in `dtype`, cast where needed.
tensorflow::Output as_dtype(const Scope& scope, const tensorflow::Output& tensor, tensorflow::DataType dtype);

// The Euclidean norm as a float scalar, whatever the dtype: 16-bit sums of squares overflow.
tensorflow::Output euclidean_norm(const Scope& scope, const tensorflow::Output& tensor);
// weights / step, 1 where either norm is 0 (a fresh variable, no gradient).
tensorflow::Output trust_ratio(const Scope& scope, const tensorflow::Output& weights, const tensorflow::Output& step);

// The built-in optimizers, one function each; the table in builtin.cc gives them their names.
using MakeOptimizer = std::unique_ptr<Optimizer>(const Scope&, const LearningRate&, const OptimizerOptions&);
MakeOptimizer make_adadelta, make_adagrad, make_adam, make_adamw, make_ftrl, make_lamb, make_momentum, make_rmsprop,
    make_sgd;

}  // namespace mox
