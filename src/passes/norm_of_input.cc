#include "passes/norm_of_input.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/environment.h"
#include "graph/node_defs.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_NORM_IN_CONVOLUTIONS";
constexpr int kVectors = 4;  // mean, variance, scale, offset

// Who can normalise what it reads, its input 0.
struct Reader {
  const char* op;
  int filter;       // input that says the filter's shape
  bool any_filter;  // else 1x1 with stride 1
};
constexpr Reader kReaders[] = {{"MoxConvolution", 1, false},
                               {"MoxConvolutionFilterGradient", 1, false},
                               {"MoxDepthwiseConvolution", 1, true},
                               {"MoxDepthwiseConvolutionFilterGradient", 1, true}};

struct Use {
  tf::NodeDef* node;
  int input;
};

class Uses {
 public:
  explicit Uses(tf::GraphDef* graph) : index_(index_nodes(*graph)) {
    for (tf::NodeDef& node : *graph->mutable_node())
      for (int i = 0; i < node.input_size(); ++i) uses_[node_of(node.input(i))].push_back({&node, i});
  }

  const std::vector<Use>& of(const tf::NodeDef& node) const {
    static const std::vector<Use> kNone;
    const auto found = uses_.find(node.name());
    return found == uses_.end() ? kNone : found->second;
  }

  // Whether all readers can do it themselves, and one of them computes something.
  bool is_for_readers(const tf::NodeDef& norm) const {
    if (norm.op() != "MoxNormalize" || norm.attr().at("num_side").i() != 0) return false;
    // What reads the image then would not wait.
    if (parse_tensor(norm.input(norm.input_size() - 1)).is_control()) return false;
    bool computes = false;
    for (const Use& use : of(norm)) {
      // Who waits for the norm would no longer.
      if (parse_tensor(use.node->input(use.input)).is_control()) return false;
      if (is_shape(use) || is_left_behind(*use.node)) continue;
      if (!can_normalize(use, norm)) return false;
      computes = true;
    }
    return computes;
  }

  static bool is_shape(const Use& use) { return is_one_of(use.node->op(), {"Shape", "ShapeN"}); }

  // What passes leave of the operations that they join, which nobody runs: fuse_batch_norm of a ReLU its gradient,
  // make_convolutions_fast a convolution before its bias and the gradient of a filter before its cast.
  bool is_left_behind(const tf::NodeDef& node) const {
    if (!is_one_of(node.op(), {"ReluGrad", "Relu6Grad"}) && joined_by(node).empty()) return false;
    return std::ranges::all_of(of(node), [&](const Use& use) { return is_left_behind(*use.node); });
  }

 private:
  bool can_normalize(const Use& use, const tf::NodeDef& norm) const {
    const tf::NodeDef& node = *use.node;
    const auto* reader =
        std::find_if(std::begin(kReaders), std::end(kReaders), [&](const Reader& r) { return node.op() == r.op; });
    if (reader == std::end(kReaders) || use.input != 0 || node.device() != norm.device()) return false;
    // In bfloat16 it costs a depthwise convolution, which computes little, as much as it saves.
    if (reader->any_filter) return node.attr().at("T").type() == tf::DT_FLOAT;
    const std::vector<int64_t> filter = shape_of_filter(index_, node.input(reader->filter));
    return filter.size() == 4 && filter[0] == 1 && filter[1] == 1 && node.attr().at("stride").i() == 1;
  }

  const NodeIndex index_;
  std::unordered_map<std::string, std::vector<Use>> uses_;
};

// Inputs of `node`, and before what it waits for the norm's vectors.
void give_norm(const tf::NodeDef& norm, tf::NodeDef* node) {
  const tf::NodeDef old = *node;
  node->clear_input();
  const auto is_control = [](const std::string& input) { return parse_tensor(input).is_control(); };
  for (const std::string& input : old.input())
    if (!is_control(input)) node->add_input(input);
  for (int i = 1; i <= kVectors; ++i) node->add_input(norm.input(i));
  for (const std::string& input : old.input())
    if (is_control(input)) node->add_input(input);
  auto& attr = *node->mutable_attr();
  tf::SetAttrValue(kVectors, &attr["num_norm"]);
  attr["norm_epsilon"] = norm.attr().at("epsilon");
  attr["norm_activation"] = norm.attr().at("activation");
}

}  // namespace

int normalize_where_read(tf::GraphDef* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  const Uses uses(graph);
  std::vector<tf::NodeDef*> norms;
  for (tf::NodeDef& node : *graph->mutable_node())
    if (uses.is_for_readers(node)) norms.push_back(&node);
  for (tf::NodeDef* norm : norms)
    for (const Use& use : uses.of(*norm)) {
      const bool is_shape = Uses::is_shape(use);
      if (!is_shape && uses.is_left_behind(*use.node)) continue;
      *use.node->mutable_input(use.input) = norm->input(0);
      if (!is_shape) give_norm(*norm, use.node);
    }
  // After all that asks who was joined before.
  for (tf::NodeDef* norm : norms) mark_joined(norm, kSwitch);
  return static_cast<int>(norms.size());
}

}  // namespace mox
