#include "passes/norm_of_input.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "base/environment.h"
#include "graph/node_defs.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"
#include "passes/node_uses.h"

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

bool is_shape(const tf::NodeDef& node) { return is_one_of(node.op(), {"Shape", "ShapeN"}); }

class Norms {
 public:
  explicit Norms(tf::GraphDef* graph) : index_(index_nodes(*graph)), uses_(graph) {}

  const NodeUses& uses() const { return uses_; }

  // Whether all readers can do it themselves, and one of them computes something.
  bool is_for_readers(const tf::NodeDef& norm) const {
    if (norm.op() != "MoxNormalize" || norm.attr().at("num_side").i() != 0) return false;
    // What reads the image then would not wait.
    if (parse_tensor(norm.input(norm.input_size() - 1)).is_control()) return false;
    bool computes = false;
    for (const NodeUse& use : uses_.of(norm)) {
      // Who waits for the norm would no longer.
      if (parse_tensor(use.node->input(use.input)).is_control()) return false;
      if (is_shape(*use.node) || uses_.is_left_behind(*use.node)) continue;
      if (!can_normalize(use, norm)) return false;
      computes = true;
    }
    return computes;
  }

 private:
  bool can_normalize(const NodeUse& use, const tf::NodeDef& norm) const {
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
  const NodeUses uses_;
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
  const Norms norms(graph);
  std::vector<tf::NodeDef*> given;
  for (tf::NodeDef& node : *graph->mutable_node())
    if (norms.is_for_readers(node)) given.push_back(&node);
  for (tf::NodeDef* norm : given)
    for (const NodeUse& use : norms.uses().of(*norm)) {
      if (!is_shape(*use.node) && norms.uses().is_left_behind(*use.node)) continue;
      *use.node->mutable_input(use.input) = norm->input(0);
      if (!is_shape(*use.node)) give_norm(*norm, use.node);
    }
  // After all that asks who was joined before.
  for (tf::NodeDef* norm : given) mark_joined(norm, kSwitch);
  return static_cast<int>(given.size());
}

}  // namespace mox
