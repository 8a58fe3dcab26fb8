#include "passes/norm_behind_convolution.h"

#include <map>
#include <optional>
#include <set>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

bool is_fused_norm(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"});
}

bool is_sum(const tf::NodeDef& node) { return is_one_of(node.op(), {"Add", "AddV2"}); }

bool is_convolution(const tf::NodeDef& node) { return is_one_of(node.op(), {"Conv2D", "DepthwiseConv2dNative"}); }

std::string text(const tf::NodeDef& node, const char* name, const char* otherwise) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? otherwise : found->second.s();
}

tf::DataType type_of(const tf::NodeDef& node) {
  const auto found = node.attr().find("T");
  return found == node.attr().end() ? tf::DT_FLOAT : found->second.type();
}

// What is fetched by the engine itself; hooks fetch by name what they find.
std::set<std::string> named_tensors(const BuiltGraph& graph) {
  std::set<std::string> named;
  const auto add = [&](const std::string& tensor) { named.insert(parse_tensor(tensor).text()); };
  const auto add_all = [&](const std::vector<NamedTensor>& list) {
    for (const NamedTensor& tensor : list) add(tensor.tensor);
  };
  for (const TowerInfo& tower : graph.towers) {
    for (const std::string& loss : tower.losses) add(loss);
    add_all(tower.log_info);
    add_all(tower.output_info);
  }
  for (const std::string& summary : graph.summaries) add(summary);
  for (const ExportInfo::Signature& signature : graph.export_info.signatures) {
    add_all(signature.inputs);
    add_all(signature.outputs);
  }
  return named;
}

class Finder {
 public:
  explicit Finder(BuiltGraph* graph) : named_(named_tensors(*graph)) {
    for (tf::NodeDef& node : *graph->graph.mutable_node()) {
      nodes_[node.name()] = &node;
      for (const std::string& input : node.input()) ++readers_[parse_tensor(input).text()];
    }
  }

  std::optional<NormBehindConvolution> behind(tf::NodeDef* last) {
    NormBehindConvolution found;
    found.norm = last;
    tf::NodeDef* before = is_fused_norm(*last) ? fused(last, &found) : plain(last, &found);
    if (before && before->op() == "BiasAdd") before = biased(before, &found);
    if (!before || !is_convolution(*before) || !is_read_once(*before)) return std::nullopt;
    found.convolution = before;
    found.between.insert(found.between.begin(), before);
    found.type = type_of(*before);
    found.data_format = text(*before, "data_format", "NHWC");
    return fits(&found) ? std::optional(found) : std::nullopt;
  }

 private:
  using Node = tf::NodeDef*;

  Node node(const std::string& tensor) const {
    const TensorRef ref = parse_tensor(tensor);
    const auto found = nodes_.find(ref.node);
    return found == nodes_.end() || ref.is_control() ? nullptr : found->second;
  }
  Node input(const Node& of, int i) const { return of && of->input_size() > i ? node(of->input(i)) : nullptr; }

  // By a node of the graph, through its output 0, and by nobody who is not in it.
  bool is_read_once(const tf::NodeDef& node) const {
    const auto found = readers_.find(node.name());
    return found != readers_.end() && found->second == 1 && !readers_.count("^" + node.name()) &&
           !named_.count(node.name());
  }

  Node fused(Node norm, NormBehindConvolution* found) const {
    const auto training = norm->attr().find("is_training");
    if (norm->input_size() < 5 || training == norm->attr().end() || training->second.b()) return nullptr;
    for (int port = 1; port < 6; ++port) {
      const std::string other = TensorRef{norm->name(), port}.text();
      if (readers_.count(other) || named_.count(other)) return nullptr;
    }
    found->scale = norm->input(1);
    found->offset = norm->input(2);
    found->mean = norm->input(3);
    found->variance = norm->input(4);
    const auto epsilon = norm->attr().find("epsilon");
    found->epsilon = epsilon == norm->attr().end() ? 1e-4f : epsilon->second.f();
    found->data_format = text(*norm, "data_format", "NHWC");
    return input(norm, 0);
  }

  // x * factor + shift with factor = 1 / sqrt(variance + epsilon) [* scale], shift = [offset] - mean * factor.
  Node plain(Node last, NormBehindConvolution* found) const {
    if (!is_sum(*last) || type_of(*last) != tf::DT_FLOAT) return nullptr;
    for (const int side : {0, 1}) {
      const Node product = input(last, side);
      if (!product || product->op() != "Mul" || !is_read_once(*product)) continue;
      for (const int image : {0, 1}) {
        const Node before = input(product, image);
        if (!before || !(is_convolution(*before) || before->op() == "BiasAdd")) continue;
        const std::string& factor = product->input(1 - image);
        found->scale = found->offset = "";
        if (!is_factor(factor, found) || !is_shift(last->input(1 - side), factor, found)) continue;
        found->between.push_back(product);
        found->data_format = "NHWC";
        return before;
      }
    }
    return nullptr;
  }

  bool is_factor(const std::string& tensor, NormBehindConvolution* found) const {
    Node root = node(tensor);
    if (root && root->op() == "Mul") {
      const int side = input(root, 0) && input(root, 0)->op() == "Rsqrt" ? 0 : 1;
      found->scale = root->input(1 - side);
      root = input(root, side);
    }
    const Node sum = root && root->op() == "Rsqrt" ? input(root, 0) : nullptr;
    if (!sum || !is_sum(*sum)) return false;
    for (const int side : {0, 1}) {
      const std::optional<tf::Tensor> epsilon = constant(sum->input(side));
      if (!epsilon || epsilon->dtype() != tf::DT_FLOAT || epsilon->NumElements() != 1) continue;
      found->epsilon = epsilon->flat<float>()(0);
      found->variance = sum->input(1 - side);
      return true;
    }
    return false;
  }

  bool is_shift(const std::string& tensor, const std::string& factor, NormBehindConvolution* found) const {
    const Node last = node(tensor);
    if (!last) return false;
    const auto is_moved_mean = [&](const Node& product) {  // mean * factor
      if (!product || product->op() != "Mul") return false;
      const int side = parse_tensor(product->input(0)).text() == parse_tensor(factor).text() ? 0 : 1;
      if (parse_tensor(product->input(side)).text() != parse_tensor(factor).text()) return false;
      found->mean = product->input(1 - side);
      return true;
    };
    if (last->op() == "Neg") return is_moved_mean(input(last, 0));
    if (last->op() == "Sub") {
      found->offset = last->input(0);
      return is_moved_mean(input(last, 1));
    }
    if (!is_sum(*last)) return false;
    const int side = input(last, 0) && input(last, 0)->op() == "Neg" ? 0 : 1;
    found->offset = last->input(1 - side);
    const Node negative = input(last, side);
    return negative && negative->op() == "Neg" && is_moved_mean(input(negative, 0));
  }

  Node biased(Node sum, NormBehindConvolution* found) const {
    if (!is_read_once(*sum)) return nullptr;
    found->bias = sum->input(1);
    found->between.insert(found->between.begin(), sum);
    return input(sum, 0);
  }

  std::optional<tf::Tensor> constant(const std::string& tensor) const {
    Node source = node(tensor);
    while (source && source->op() == "Identity") source = input(source, 0);
    tf::Tensor value;
    if (!source || source->op() != "Const" || !value.FromProto(source->attr().at("value").tensor()))
      return std::nullopt;
    return value;
  }

  // Behind what may stand between a variable and who computes with it.
  const tf::NodeDef* read_behind(std::string tensor, bool also_cast) const {
    Node source = node(tensor);
    while (source && (source->op() == "Identity" || (also_cast && source->op() == "Cast"))) source = input(source, 0);
    return source && source->op() == "ReadVariableOp" ? source : nullptr;
  }

  // Of the variable, where it is one of float32.
  std::optional<tf::TensorShape> shape(const tf::NodeDef* read) const {
    const Node handle = read ? node(read->input(0)) : nullptr;
    if (!handle || handle->op() != "VarHandleOp" || handle->attr().at("dtype").type() != tf::DT_FLOAT)
      return std::nullopt;
    tf::TensorShape shape;
    if (!tf::TensorShape::BuildTensorShape(handle->attr().at("shape").shape(), &shape).ok()) return std::nullopt;
    return shape;
  }

  bool is_vector(const std::string& tensor, int64_t size) const {
    const tf::TensorShape wanted({size});
    if (const std::optional<tf::Tensor> value = constant(tensor))
      return value->dtype() == tf::DT_FLOAT && value->shape() == wanted;
    return shape(read_behind(tensor, /*also_cast=*/false)) == std::optional(wanted);
  }

  // Whether shapes and types are as the rewrites take them; completes `found`.
  bool fits(NormBehindConvolution* found) const {
    const tf::NodeDef& convolution = *found->convolution;
    if (!is_one_of(found->data_format, {"NHWC", "NCHW"}) || type_of(*found->norm) != found->type) return false;
    if (is_fused_norm(*found->norm) ? text(*found->norm, "data_format", "NHWC") != found->data_format
                                    : found->data_format != "NHWC")
      return false;
    const tf::NodeDef* read = read_behind(convolution.input(1), /*also_cast=*/true);
    const std::optional<tf::TensorShape> weights = shape(read);
    if (!weights || weights->dims() != 4) return false;
    found->weights = read->name();
    const int64_t channels = channels_of(*weights, convolution);
    for (const std::string* vector : {&found->bias, &found->scale, &found->offset})
      if (!vector->empty() && !is_vector(*vector, channels)) return false;
    return is_vector(found->mean, channels) && is_vector(found->variance, channels);
  }

  const std::set<std::string> named_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, int> readers_;  // of a tensor; "^node": after it
};

}  // namespace

int64_t channels_of(const tf::TensorShape& weights, const tf::NodeDef& convolution) {
  return convolution.op() == "Conv2D" ? weights.dim_size(3) : weights.dim_size(2) * weights.dim_size(3);
}

void become_bias_add(const NormBehindConvolution& found, const std::string& image, const std::string& bias,
                     tf::NodeDef* norm) {
  std::vector<std::string> controls;
  for (const std::string& input : norm->input())
    if (parse_tensor(input).is_control()) controls.push_back(input);
  norm->set_op("BiasAdd");
  norm->clear_attr();
  norm->clear_input();
  norm->add_input(image);
  norm->add_input(bias);
  for (const std::string& control : controls) norm->add_input(control);
  tf::SetAttrValue(found.type, &(*norm->mutable_attr())["T"]);
  tf::SetAttrValue(found.data_format, &(*norm->mutable_attr())["data_format"]);
}

std::vector<NormBehindConvolution> norms_behind_convolutions(BuiltGraph* graph) {
  std::vector<NormBehindConvolution> all;
  Finder finder(graph);
  for (tf::NodeDef& node : *graph->graph.mutable_node())
    if (is_fused_norm(node) || is_sum(node))
      if (std::optional<NormBehindConvolution> found = finder.behind(&node)) all.push_back(std::move(*found));
  return all;
}

}  // namespace mox
