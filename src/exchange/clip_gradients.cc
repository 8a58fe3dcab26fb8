#include "exchange/clip_gradients.h"

#include <map>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

struct Joined {
  tf::NodeDef slot;  // as it is before the pass
  tf::DataType dtype;
};

std::string as_type(tf::GraphDef* graph, const std::string& name, const std::string& tensor, tf::DataType from,
                    tf::DataType to, const std::string& device) {
  if (from == to) return tensor;
  NodeMaker(graph, name, "Cast").input(tensor).attr("SrcT", from).attr("DstT", to).device(device);
  return name;
}

// Half the sum of a gradient's squares, a float.
std::string add_square(tf::GraphDef* graph, const Joined& joined) {
  const std::string& device = joined.slot.device();
  const std::string name = joined.slot.name() + "/clip";
  const std::string wide = as_type(graph, name + "/as_float", joined.slot.input(0), joined.dtype, tf::DT_FLOAT, device);
  NodeMaker(graph, name + "/square", "L2Loss").input(wide).attr("T", tf::DT_FLOAT).device(device);
  return name + "/square";
}

// limit / max(norm, limit), where norm = sqrt(2 * square).
std::string add_factor(tf::GraphDef* graph, const std::string& name, const std::string& square, double limit,
                       const std::string& device) {
  const std::string two = add_const(graph, name + "/two", scalar_of(tf::DT_FLOAT, 2, "gradient_clip"));
  const std::string most = add_const(graph, name + "/limit", scalar_of(tf::DT_FLOAT, limit, "gradient_clip"));
  auto binary = [&](const char* op, const std::string& a, const std::string& b, const char* result) {
    NodeMaker(graph, name + "/" + result, op).input(a).input(b).attr("T", tf::DT_FLOAT).device(device);
    return name + "/" + result;
  };
  const std::string twice = binary("Mul", square, two, "squares");
  NodeMaker(graph, name + "/norm", "Sqrt").input(twice).attr("T", tf::DT_FLOAT).device(device);
  return binary("RealDiv", most, binary("Maximum", name + "/norm", most, "at_least"), "factor");
}

std::string scaled(tf::GraphDef* graph, const Joined& joined, const std::string& factor) {
  const std::string& device = joined.slot.device();
  const std::string name = joined.slot.name() + "/clip";
  const std::string own = as_type(graph, name + "/own_factor", factor, tf::DT_FLOAT, joined.dtype, device);
  NodeMaker(graph, name + "/clipped", "Mul")
      .input(joined.slot.input(0))
      .input(own)
      .attr("T", joined.dtype)
      .device(device);
  return name + "/clipped";
}

std::string clip_by_value(tf::GraphDef* graph, const Joined& joined, double limit) {
  const std::string name = joined.slot.name() + "/clip";
  const std::string what = "a gradient for gradient_clip";
  const std::string low = add_const(graph, name + "/low", scalar_of(joined.dtype, -limit, what));
  const std::string high = add_const(graph, name + "/high", scalar_of(joined.dtype, limit, what));
  NodeMaker(graph, name + "/clipped", "ClipByValue")
      .input(joined.slot.input(0))
      .input(low)
      .input(high)
      .attr("T", joined.dtype)
      .device(joined.slot.device());
  return name + "/clipped";
}

// One factor for all gradients of a loss.
std::string add_global_factor(tf::GraphDef* graph, int loss, const std::vector<Joined>& gradients, double limit) {
  const std::string name = "clip_loss_" + std::to_string(loss);
  const std::string& device = gradients[0].slot.device();
  std::vector<std::string> squares;
  for (const Joined& joined : gradients) squares.push_back(add_square(graph, joined));
  NodeMaker sum(graph, name + "/sum", "AddN");
  for (const std::string& square : squares) sum.input(square);
  sum.attr("N", static_cast<int64_t>(squares.size())).attr("T", tf::DT_FLOAT).device(device);
  return add_factor(graph, name, name + "/sum", limit, device);
}

}  // namespace

void clip_gradients(tf::GraphDef* graph, const std::vector<GradientSlot>& slots, const ClipOptions& options) {
  if (options.limit == 0 || slots.empty()) return;
  std::map<int, std::vector<Joined>> by_loss;
  {
    const NodeIndex index = index_nodes(*graph);
    for (const GradientSlot& slot : slots) {
      Joined joined{require_node(index, slot.slot, "gradient_clip"), tf::DT_FLOAT};
      throw_if_error(tf::GetNodeAttr(joined.slot, "T", &joined.dtype), "clipping the gradients of " + slot.variable);
      by_loss[slot.loss].push_back(joined);
    }
  }
  std::map<std::string, std::string> inputs;
  for (const auto& [loss, gradients] : by_loss) {
    const std::string global =
        options.type == "global_norm" ? add_global_factor(graph, loss, gradients, options.limit) : "";
    for (const Joined& joined : gradients) {
      std::string& clipped = inputs[joined.slot.name()];
      if (options.type == "value")
        clipped = clip_by_value(graph, joined, options.limit);
      else if (!global.empty())
        clipped = scaled(graph, joined, global);
      else
        clipped = scaled(graph, joined,
                         add_factor(graph, joined.slot.name() + "/clip", add_square(graph, joined), options.limit,
                                    joined.slot.device()));
    }
  }
  for (tf::NodeDef& node : *graph->mutable_node())
    if (auto found = inputs.find(node.name()); found != inputs.end()) node.set_input(0, found->second);
}

}  // namespace mox
