// Variables that are pieces of one: they share a handle and an initializer and follow each other, in their order, among
// the graph's variables (others may stand between). Each is one part of the last dimension of what lies at the handle.
// passes/join_pieces.h makes them.
#pragma once

#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

struct Piece {
  int number = 0, count = 1;  // the how-manieth of how many
  size_t first = 0;           // the variable that is the first of them
};

// Of each variable.
MOX_EXPORT std::vector<Piece> pieces_of(const std::vector<VariableInfo>& variables);

// The shape of what lies at the variable's handle.
MOX_EXPORT tensorflow::TensorShape whole_shape(const VariableInfo& variable, int pieces);

// The variable's value in that of its handle: a copy of its piece, or `whole` itself where it is all of it.
MOX_EXPORT tensorflow::Tensor value_of(const Piece& piece, const VariableInfo& variable,
                                       const tensorflow::Tensor& whole);
// Copies the variable's value, of its shape and type, into that of its handle.
MOX_EXPORT void set_value(const Piece& piece, const tensorflow::Tensor& value, tensorflow::Tensor* whole);

}  // namespace mox
