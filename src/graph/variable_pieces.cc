#include "graph/variable_pieces.h"

#include <cstring>
#include <string>
#include <unordered_map>

namespace mox {

namespace tf = tensorflow;

namespace {

// Where the piece's rows lie: rows of `size` bytes, in the whole `stride` apart and the first at `begin`.
struct Rows {
  int64_t count, size, stride, begin;
};

Rows rows_of(const Piece& piece, const tf::Tensor& value) {
  const int64_t last = value.dim_size(value.dims() - 1), size = last * tf::DataTypeSize(value.dtype());
  return {last == 0 ? 0 : value.NumElements() / last, size, size * piece.count, size * piece.number};
}

char* bytes(const tf::Tensor& tensor) { return static_cast<char*>(tensor.data()); }

}  // namespace

std::vector<Piece> pieces_of(const std::vector<VariableInfo>& variables) {
  std::unordered_map<std::string, std::pair<int, size_t>> wholes;  // by handle: how many pieces, and the first
  std::vector<Piece> pieces(variables.size());
  for (size_t v = 0; v < variables.size(); ++v) {
    auto& [count, first] = wholes.try_emplace(variables[v].handle, 0, v).first->second;
    pieces[v] = {count++, 1, first};
  }
  for (size_t v = 0; v < variables.size(); ++v) pieces[v].count = wholes.at(variables[v].handle).first;
  return pieces;
}

tf::TensorShape whole_shape(const VariableInfo& variable, int pieces) {
  tf::TensorShape shape = variable.shape;
  if (pieces > 1) shape.set_dim(shape.dims() - 1, pieces * shape.dim_size(shape.dims() - 1));
  return shape;
}

tf::Tensor value_of(const Piece& piece, const VariableInfo& variable, const tf::Tensor& whole) {
  if (piece.count == 1) return whole;
  tf::Tensor value(variable.dtype, variable.shape);
  const Rows rows = rows_of(piece, value);
  for (int64_t i = 0; i < rows.count; ++i)
    std::memcpy(bytes(value) + i * rows.size, bytes(whole) + rows.begin + i * rows.stride, rows.size);
  return value;
}

void set_value(const Piece& piece, const tf::Tensor& value, tf::Tensor* whole) {
  const Rows rows = rows_of(piece, value);
  for (int64_t i = 0; i < rows.count; ++i)
    std::memcpy(bytes(*whole) + rows.begin + i * rows.stride, bytes(value) + i * rows.size, rows.size);
}

}  // namespace mox
