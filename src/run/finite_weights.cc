#include "run/finite_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// All bits of the exponent are set: infinite, or not a number. Whole blocks of one size without a branch, for the
// compiler to make vectors of them.
template <typename Bits>
int64_t find_not_finite(const Bits* values, int64_t count, Bits exponent) {
  constexpr int64_t kBlock = 1024;
  int64_t start = 0;
  for (; start + kBlock <= count; start += kBlock) {
    Bits any = 0;
    for (int64_t i = 0; i < kBlock; ++i) any |= static_cast<Bits>((values[start + i] & exponent) == exponent);
    if (any) break;
  }
  for (; start < count; ++start)
    if ((values[start] & exponent) == exponent) return start;
  return -1;
}

int64_t pair_of(int64_t part) { return part < 0 ? part : part / 2; }

int64_t find_not_finite(const tf::Tensor& tensor) {
  const void* data = tensor.data();
  const int64_t count = tensor.NumElements();
  switch (tensor.dtype()) {
    case tf::DT_FLOAT:
      return find_not_finite(static_cast<const uint32_t*>(data), count, uint32_t{0x7f800000});
    case tf::DT_DOUBLE:
      return find_not_finite(static_cast<const uint64_t*>(data), count, uint64_t{0x7ff0000000000000});
    case tf::DT_HALF:
      return find_not_finite(static_cast<const uint16_t*>(data), count, uint16_t{0x7c00});
    case tf::DT_BFLOAT16:
      return find_not_finite(static_cast<const uint16_t*>(data), count, uint16_t{0x7f80});
    case tf::DT_COMPLEX64:
      return pair_of(find_not_finite(static_cast<const uint32_t*>(data), 2 * count, uint32_t{0x7f800000}));
    case tf::DT_COMPLEX128:
      return pair_of(find_not_finite(static_cast<const uint64_t*>(data), 2 * count, uint64_t{0x7ff0000000000000}));
    default:
      return -1;
  }
}

template <typename T>
double part(const std::complex<T>& value) {
  return std::isfinite(value.real()) ? value.imag() : value.real();
}

// Of a complex one the part that is not finite.
double element(const tf::Tensor& tensor, int64_t i) {
  switch (tensor.dtype()) {
    case tf::DT_FLOAT:
      return tensor.flat<float>()(i);
    case tf::DT_DOUBLE:
      return tensor.flat<double>()(i);
    case tf::DT_HALF:
      return static_cast<float>(tensor.flat<Eigen::half>()(i));
    case tf::DT_COMPLEX64:
      return part(tensor.flat<tf::complex64>()(i));
    case tf::DT_COMPLEX128:
      return part(tensor.flat<tf::complex128>()(i));
    default:
      return static_cast<float>(tensor.flat<tf::bfloat16>()(i));
  }
}

std::string described(const tf::Tensor& tensor, int64_t i) {
  const double value = element(tensor, i);
  return fmt::format("{} (element {} of {})",
                     std::isnan(value) ? "nan"
                     : value > 0       ? "inf"
                                       : "-inf",
                     i, tensor.shape().DebugString());
}

bool writes(const std::string& op) {
  return op.find("Assign") != std::string::npos || op.rfind("ResourceApply", 0) == 0 ||
         op.rfind("ResourceSparseApply", 0) == 0 || op.rfind("ResourceScatter", 0) == 0;
}

bool calls_one_of(const std::unordered_set<std::string>& functions, const tf::NodeDef& node) {
  if (functions.count(node.op())) return true;
  return std::any_of(node.attr().begin(), node.attr().end(), [&](const auto& attr) {
    const auto& list = attr.second.list().func();
    return functions.count(attr.second.func().name()) ||
           std::any_of(list.begin(), list.end(), [&](const auto& f) { return functions.count(f.name()) > 0; });
  });
}

// Functions of the graph (of tf.function, of conditions and loops) that write to a variable, or call one that does.
std::unordered_set<std::string> writing_functions(const tf::FunctionDefLibrary& library) {
  std::unordered_set<std::string> found;
  for (bool more = true; more;) {
    more = false;
    for (const tf::FunctionDef& function : library.function()) {
      const auto& nodes = function.node_def();
      const bool is_one = std::any_of(nodes.begin(), nodes.end(), [&](const tf::NodeDef& node) {
        return writes(node.op()) || calls_one_of(found, node);
      });
      if (is_one) more |= found.insert(function.signature().name()).second;
    }
  }
  return found;
}

bool hands_on(const std::string& op) { return op == "Switch" || op == "Identity" || op == "Enter"; }

// The nodes that hold a variable's handle: itself, and what a condition makes of it. With the variables' names.
std::unordered_map<std::string, std::vector<std::string>> handles_of(const BuiltGraph& graph) {
  std::unordered_map<std::string, std::vector<std::string>> owner;
  for (const VariableInfo& variable : graph.variables) owner[variable.handle].push_back(variable.name);
  for (bool more = true; more;) {
    more = false;
    for (const tf::NodeDef& node : graph.graph.node()) {
      if (!hands_on(node.op()) || node.input_size() == 0 || owner.count(node.name())) continue;
      const auto found = owner.find(node_of(node.input(0)));
      if (found == owner.end()) continue;
      const std::vector<std::string> names = found->second;
      owner[node.name()] = names;
      more = true;
    }
  }
  return owner;
}

}  // namespace

std::optional<std::string> first_not_finite(const tf::Tensor& tensor) {
  const int64_t i = find_not_finite(tensor);
  if (i < 0) return std::nullopt;
  return described(tensor, i);
}

FiniteWeights::FiniteWeights(const BuiltGraph& graph) {
  std::unordered_set<std::string> initializers;
  for (const VariableInfo& variable : graph.variables) {
    initializers.insert(variable.initializer);
    if (!variable.trainable) continue;
    trained_.insert(variable.name);
    checked_.insert(variable.name);
  }
  const auto owner = handles_of(graph);
  const auto functions = writing_functions(graph.graph.library());
  for (const tf::NodeDef& node : graph.graph.node()) {
    if (!(writes(node.op()) || calls_one_of(functions, node)) || initializers.count(node.name())) continue;
    for (const std::string& input : node.input()) {
      const TensorRef tensor = parse_tensor(input);
      const auto found = owner.find(tensor.node);
      if (found != owner.end() && !tensor.is_control()) checked_.insert(found->second.begin(), found->second.end());
    }
  }
}

std::string FiniteWeights::problem(const std::string& name, const tf::Tensor& value) const {
  if (!checked_.count(name)) return "";
  const int64_t i = find_not_finite(value);
  if (i < 0) return "";
  if (value.dims() == 0 && !trained_.count(name) && std::isinf(element(value, 0))) return "";
  return "the variable " + name + " holds " + described(value, i);
}

std::string FiniteWeights::problem(const std::vector<std::pair<std::string, tf::Tensor>>& values) const {
  for (const auto& [name, value] : values)
    if (std::string found = problem(name, value); !found.empty()) return found;
  return "";
}

}  // namespace mox
