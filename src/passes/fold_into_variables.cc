#include "passes/fold_into_variables.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/environment.h"
#include "graph/node_defs.h"
#include "graph/variable_uses.h"
#include "moxing/error.h"
#include "passes/norm_behind_convolution.h"

namespace mox {

namespace tf = tensorflow;

namespace {

using Values = std::vector<std::pair<std::string, tf::Tensor>>;

// Convolutions that share their weights (a network that is used twice), with the norm behind each.
struct Group {
  std::vector<size_t> norms;  // indices of what was found
  // Variables (indices in the graph's), -1: none, or a constant.
  int weights = -1, bias = -1, scale = -1, mean = -1, variance = -1;
};

class Folder {
 public:
  Folder(BuiltGraph* graph, Values* values) : graph_(graph) {
    for (auto& [name, value] : *values) value_[name] = &value;
    found_ = norms_behind_convolutions(graph);
    find_groups();
  }

  int run() {
    // What one group leaves alone may be what another needs: until nothing is taken out any more.
    while (take_out_shared()) {
    }
    int count = 0;
    for (const Group& group : groups_) {
      for (const size_t norm : group.norms) rewrite(&graph_->graph, found_[norm]);
      change_values(group);
      count += static_cast<int>(group.norms.size());
    }
    return count;
  }

 private:
  const tf::NodeDef* source(const std::string& tensor) const {
    auto found = index_.find(node_of(tensor));
    while (found != index_.end() && is_one_of(found->second->op(), {"Identity", "Cast"}))
      found = index_.find(node_of(found->second->input(0)));
    return found == index_.end() ? nullptr : found->second;
  }

  int variable(const std::string& tensor) const {
    const tf::NodeDef* read = tensor.empty() ? nullptr : source(tensor);
    if (!read || read->op() != "ReadVariableOp") return -1;
    const auto found = handles_.find(node_of(read->input(0)));
    return found == handles_.end() ? -1 : found->second;
  }

  void find_groups() {
    index_ = index_nodes(graph_->graph);
    for (size_t i = 0; i < graph_->variables.size(); ++i) handles_[graph_->variables[i].handle] = static_cast<int>(i);
    std::map<int, Group> by_weights;
    std::set<int> differ;
    for (size_t i = 0; i < found_.size(); ++i) {
      const NormBehindConvolution& f = found_[i];
      const Group now{
          {i}, variable(f.weights), variable(f.bias), variable(f.scale), variable(f.mean), variable(f.variance)};
      // A constant among what changes, other than a scale: nowhere to write it.
      if (now.weights < 0 || now.mean < 0 || now.variance < 0 || (!f.bias.empty() && now.bias < 0)) continue;
      const auto [place, is_new] = by_weights.emplace(now.weights, now);
      if (is_new) continue;
      Group& group = place->second;
      const NormBehindConvolution& first = found_[group.norms[0]];
      if (group.bias != now.bias || group.scale != now.scale || group.mean != now.mean ||
          group.variance != now.variance || first.epsilon != f.epsilon || (now.scale < 0 && first.scale != f.scale))
        differ.insert(now.weights);
      group.norms.push_back(i);
    }
    for (const auto& [weights, group] : by_weights)
      if (!differ.count(weights) && keeps_factor_one(group)) groups_.push_back(group);
  }

  // Where the scale is a constant, variance' alone makes the factor 1.
  bool keeps_factor_one(const Group& group) const {
    const NormBehindConvolution& first = found_[group.norms[0]];
    if (group.scale >= 0) return true;
    const std::optional<tf::Tensor> constant = scale_of(group);
    if (!constant) return first.scale.empty() && first.epsilon < 1;
    const auto scale = constant->flat<float>();
    return std::all_of(scale.data(), scale.data() + scale.size(),
                       [&](float s) { return s > 0 && s * s >= first.epsilon; });
  }

  std::optional<tf::Tensor> scale_of(const Group& group) const {
    if (group.scale >= 0) return value(group.scale);
    const std::string& tensor = found_[group.norms[0]].scale;
    const tf::NodeDef* node = tensor.empty() ? nullptr : source(tensor);
    tf::Tensor constant;
    if (!node || node->op() != "Const" || !constant.FromProto(node->attr().at("value").tensor())) return std::nullopt;
    return constant;
  }

  tf::Tensor& value(int variable) const { return *value_.at(graph_->variables[variable].name); }

  static void rewrite(tf::GraphDef* graph, const NormBehindConvolution& found) {
    const std::string name = found.norm->name() + "/folded", &device = found.norm->device();
    const auto vector = [&](const std::string& node, const char* op) {
      NodeMaker maker(graph, name + node, op);
      maker.attr("T", tf::DT_FLOAT).device(device);
      return maker;
    };
    std::string bias = name + "/shift";
    if (found.offset.empty())
      vector("/shift", "Neg").input(found.mean);
    else
      vector("/shift", "Sub").input(found.offset).input(found.mean);
    const std::string narrow = add_cast(graph, name + "/bias", bias, tf::DT_FLOAT, found.type, device);
    for (tf::NodeDef& node : *graph->mutable_node())
      if (node.name() == found.norm->name()) become_bias_add(found, found.convolution->name(), narrow, &node);
  }

  // Takes out the groups whose variables somebody else would read with their new values; whether there were any.
  bool take_out_shared() {
    BuiltGraph trial;
    trial.graph = graph_->graph;
    trial.variables = graph_->variables;
    std::map<int, std::set<std::string>> readers;  // of a variable: those that know of its new values
    for (const Group& group : groups_)
      for (const size_t i : group.norms) {
        const NormBehindConvolution& f = found_[i];
        rewrite(&trial.graph, f);
        readers[group.weights].insert(f.convolution->name());
        readers[group.mean].insert(f.norm->name() + "/folded/shift");
      }
    const VariableUses uses(trial);
    std::vector<std::string> outputs;
    for (const ExportInfo::Signature& signature : graph_->export_info.signatures)
      for (const NamedTensor& output : signature.outputs) outputs.push_back(output.tensor);
    const std::vector<bool> needed = uses.ancestors(uses.nodes_of(outputs));
    const size_t before = groups_.size();
    std::erase_if(groups_, [&](const Group& group) {
      for (const int changed : {group.weights, group.mean, group.bias, group.scale, group.variance})
        if (changed >= 0 && is_read_by_others(trial.graph, uses, needed, changed, readers[changed])) return true;
      return false;
    });
    return groups_.size() < before;
  }

  static bool is_read_by_others(const tf::GraphDef& graph, const VariableUses& uses, const std::vector<bool>& needed,
                                int variable, const std::set<std::string>& known) {
    std::vector<int> stack;
    for (int node = 0; node < uses.size(); ++node) {
      const std::vector<int>& of = uses.of(node);
      if (!needed[node] || std::find(of.begin(), of.end(), variable) == of.end()) continue;
      const std::string& op = graph.node(node).op();
      if (op == "ReadVariableOp")
        stack.push_back(node);
      else if (op != "VarHandleOp")
        return true;
    }
    while (!stack.empty()) {
      const int at = stack.back();
      stack.pop_back();
      for (const int reader : uses.readers(at)) {
        const tf::NodeDef& node = graph.node(reader);
        if (!needed[reader] || known.count(node.name())) continue;
        if (!is_one_of(node.op(), {"Identity", "Cast"})) return true;
        stack.push_back(reader);
      }
    }
    return false;
  }

  void change_values(const Group& group) {
    const NormBehindConvolution& first = found_[group.norms[0]];
    const tf::Tensor weights = value(group.weights), mean = value(group.mean), variance = value(group.variance);
    const std::optional<tf::Tensor> scale = scale_of(group);
    const int64_t channels = channels_of(weights.shape(), *first.convolution);
    tf::Tensor new_weights(tf::DT_FLOAT, weights.shape()), new_mean(tf::DT_FLOAT, mean.shape()),
        new_variance(tf::DT_FLOAT, variance.shape()), new_scale(tf::DT_FLOAT, mean.shape());
    std::vector<float> factors(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double s = scale ? scale->flat<float>()(c) : 1;
      const double factor = s / std::sqrt(static_cast<double>(variance.flat<float>()(c)) + first.epsilon);
      const double bias = group.bias >= 0 ? value(group.bias).flat<float>()(c) : 0;
      const auto kept = static_cast<float>(std::max(s * s - first.epsilon, 0.));
      factors[c] = static_cast<float>(factor);
      new_mean.flat<float>()(c) = static_cast<float>((mean.flat<float>()(c) - bias) * factor);
      new_variance.flat<float>()(c) = kept;
      new_scale.flat<float>()(c) = static_cast<float>(std::sqrt(static_cast<double>(kept) + first.epsilon));
    }
    const float* from = weights.flat<float>().data();
    float* to = new_weights.flat<float>().data();
    for (int64_t i = 0; i < weights.NumElements(); ++i) to[i] = from[i] * factors[i % channels];
    value(group.weights) = new_weights;
    value(group.mean) = new_mean;
    value(group.variance) = new_variance;
    if (group.scale >= 0) value(group.scale) = new_scale;
    if (group.bias >= 0) value(group.bias) = tf::Tensor(tf::DT_FLOAT, mean.shape());
    if (group.bias >= 0) value(group.bias).flat<float>().setZero();
  }

  BuiltGraph* graph_;
  std::map<std::string, tf::Tensor*> value_;
  std::vector<NormBehindConvolution> found_;
  NodeIndex index_;
  std::map<std::string, int> handles_;
  std::vector<Group> groups_;
};

}  // namespace

int fold_into_variables(BuiltGraph* graph, Values* values) {
  if (!bool_in_environment("MOX_FOLD_BATCH_NORM").value_or(true)) return 0;
  return Folder(graph, values).run();
}

}  // namespace mox
