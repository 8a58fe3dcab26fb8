#include "passes/explicit_padding.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "convolutions/convolution.h"
#include "graph/graph_shapes.h"
#include "graph/node_defs.h"
#include "passes/convolution_nodes.h"
#include "passes/fast_convolutions.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"
#include "passes/node_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

using Numbers = std::vector<int64_t>;

bool is_float(const tf::NodeDef& node) {
  return is_one_of(tf::DataTypeString(node.attr().at("T").type()), {"float", "bfloat16"});
}

// What a Pad puts before and after each of four dimensions, as [4, 2].
std::optional<ExplicitPaddings> paddings_of(const Numbers& p) {
  const bool of_images = p.size() == 8 && p[0] == 0 && p[1] == 0 && p[6] == 0 && p[7] == 0;
  if (!of_images || std::ranges::any_of(p, [](int64_t padding) { return padding < 0; })) return std::nullopt;
  return ExplicitPaddings{p[2], p[3], p[4], p[5]};
}

class Paddings {
 public:
  explicit Paddings(tf::GraphDef* graph) : graph_(*graph), index_(index_nodes(*graph)), uses_(graph) {}

  int rewrite() {
    int count = 0;
    for (int i = 0, nodes = graph_.node_size(); i < nodes; ++i) count += take_slice(graph_.mutable_node(i));
    for (int i = 0, nodes = graph_.node_size(); i < nodes; ++i) count += take_pad(graph_.mutable_node(i));
    for (const auto& [name, sizes] : new_sizes_) add_const(&graph_, name, sizes);
    return count;
  }

 private:
  // A Pad, and those who read its image.
  struct Padded {
    ExplicitPaddings paddings;
    std::vector<tf::NodeDef*> forward, filter_gradients, sizes;
  };

  tf::NodeDef* node(const std::string& tensor) const { return uses_.node(node_of(tensor)); }

  std::optional<Numbers> numbers(const std::string& tensor) const { return int_constants(node(tensor)); }

  // What stands before each dimension: constants, or how gradients of a Pad take them from its paddings, the first
  // column of these as a vector.
  std::optional<Numbers> begin_of(const std::string& tensor) const {
    if (const std::optional<Numbers> known = numbers(tensor)) return known;
    const tf::NodeDef* vector = node(tensor);
    const tf::NodeDef* column = vector && vector->op() == "Reshape" ? node(vector->input(0)) : nullptr;
    if (!column || column->op() != "Slice" || numbers(vector->input(1)) != Numbers{-1}) return std::nullopt;
    const std::optional<Numbers> all = numbers(column->input(0));
    if (!all || all->size() != 8 || numbers(column->input(1)) != Numbers{0, 0} || !is_column(column->input(2)))
      return std::nullopt;
    return Numbers{(*all)[0], (*all)[2], (*all)[4], (*all)[6]};
  }
  // The size [4, 1], also as [Rank, 1]: of another rank the graph would not run.
  bool is_column(const std::string& tensor) const {
    if (const std::optional<Numbers> known = numbers(tensor)) return *known == Numbers{4, 1};
    const tf::NodeDef* pack = node(tensor);
    if (!pack || pack->op() != "Pack" || pack->attr().at("N").i() != 2 || numbers(pack->input(1)) != Numbers{1})
      return false;
    const tf::NodeDef* rank = node(pack->input(0));
    return rank && (rank->op() == "Rank" || int_constants(rank) == Numbers{4});
  }

  // The tensor whose shape this is; "" where it is none.
  std::string shape_source(const std::string& tensor) const {
    const tf::NodeDef* shape = node(tensor);
    if (!shape || !is_one_of(shape->op(), {"Shape", "ShapeN"})) return "";
    return parse_tensor(shape->input(parse_tensor(tensor).port)).text();
  }

  // Whether these are the sizes of the image; Python's gradients have constants where it knows all.
  bool are_sizes_of(const std::string& sizes, const std::string& image) {
    if (shape_source(sizes) == parse_tensor(image).text()) return true;
    const std::optional<Numbers> known = numbers(sizes);
    if (!known || known->size() != 4) return false;
    if (!shapes_) shapes_ = std::make_unique<GraphShapes>(graph_);
    return shapes_->of(image) == *known;
  }

  // The paddings that a Slice takes away, from sizes `padded` on.
  std::optional<ExplicitPaddings> taken_away(const tf::NodeDef& slice, const std::string& padded) {
    const std::optional<Numbers> begin = begin_of(slice.input(1));
    if (!begin || begin->size() != 4) return std::nullopt;
    Numbers all;
    const tf::NodeDef* pad = node(shape_source(padded));
    const std::optional<Numbers> from = numbers(padded), to = numbers(slice.input(2));
    if (pad && pad->op() == "Pad") {
      if (are_sizes_of(slice.input(2), pad->input(0))) all = numbers(pad->input(1)).value_or(Numbers{});
    } else if (from && to && from->size() == 4 && to->size() == 4 && std::ranges::min(*to) >= 0) {
      for (int i = 0; i < 4; ++i) {
        all.push_back((*begin)[i]);
        all.push_back((*from)[i] - (*to)[i] - (*begin)[i]);
      }
    }
    const std::optional<ExplicitPaddings> paddings = paddings_of(all);
    if (!paddings || *begin != Numbers{0, paddings->top, paddings->left, 0}) return std::nullopt;
    return paddings;
  }

  bool is_valid_convolution(const tf::NodeDef& node) const {
    return is_plain_convolution(node) && node.attr().at("padding").s() == "VALID" && is_float(node) &&
           stride_of(node) > 0;
  }

  // Nobody runs it but who asks for it by name: C++'s gradients have one of each image, also of the first; it may have
  // been computed in another type.
  bool is_dead(const tf::NodeDef& node) const {
    if (replaced_.contains(&node)) return true;
    return (is_one_of(node.op(), {"Shape", "Conv2DBackpropInput", "Cast", "Slice"}) || !joined_by(node).empty()) &&
           std::ranges::all_of(uses_.of(node), [&](const NodeUse& use) { return is_dead(*use.node); });
  }

  bool take_slice(tf::NodeDef* slice) {
    if (slice->op() != "Slice" || slice->attr().at("Index").type() != tf::DT_INT32) return false;
    tf::NodeDef* gradient = node(slice->input(0));
    if (!gradient || gradient->op() != "Conv2DBackpropInput" || !is_valid_convolution(*gradient) ||
        gradient->device() != slice->device() || uses_.of(*gradient).size() != 1 || !joined_by(*gradient).empty())
      return false;
    const std::optional<ExplicitPaddings> paddings = taken_away(*slice, gradient->input(0));
    if (!paddings) return false;
    tf::NodeDef whole = *gradient;
    whole.set_name(slice->name());
    whole.set_input(0, slice->input(2));
    for (const std::string& input : slice->input())
      if (parse_tensor(input).is_control() && std::ranges::find(whole.input(), input) == whole.input().end())
        whole.add_input(input);
    set_paddings(*paddings, &whole);
    if (!becomes_fast(index_, whole)) return false;
    *slice = std::move(whole);
    mark_joined(gradient, kFastConvolutionsSwitch);
    replaced_.insert(gradient);
    return true;
  }

  // Whether the convolution or the gradient of its filter may have these paddings.
  bool may_pad(const tf::NodeDef& node, const ExplicitPaddings& p) const {
    if (!is_valid_convolution(node)) return false;
    if (node.op() == "Conv2DBackpropFilter") {
      tf::NodeDef padded = node;
      set_paddings(p, &padded);
      return becomes_fast(index_, padded);
    }
    const std::vector<int64_t> filter = shape_of_filter(index_, node.input(1));
    return filter.size() == 4 && convolutions::takes_paddings({.filter_height = filter[0], .filter_width = filter[1]},
                                                              p.top, p.bottom, p.left, p.right);
  }

  // Nothing where one of the readers must have the padded image.
  std::optional<Padded> readers_of(const tf::NodeDef& pad) const {
    const std::optional<Numbers> all = pad.op() == "Pad" ? numbers(pad.input(1)) : std::nullopt;
    const std::optional<ExplicitPaddings> paddings = all ? paddings_of(*all) : std::nullopt;
    if (!paddings || !joined_by(pad).empty()) return std::nullopt;
    Padded padded{*paddings, {}, {}, {}};
    for (const NodeUse& use : uses_.of(pad)) {
      const bool is_image = use.input == 0 && !parse_tensor(use.node->input(0)).is_control();
      const bool computes = is_image && use.node->device() == pad.device();
      if (computes && use.node->op() == "Conv2D" && may_pad(*use.node, *paddings))
        padded.forward.push_back(use.node);
      else if (computes && use.node->op() == "Conv2DBackpropFilter" && may_pad(*use.node, *paddings))
        padded.filter_gradients.push_back(use.node);
      else if (use.node->op() == "Shape" && is_dead(*use.node))
        padded.sizes.push_back(use.node);
      else if (use.node->op() != "ShapeN")
        return std::nullopt;
    }
    // Beside the image's sizes those of the filter, for a gradient of the filter that knows them otherwise.
    for (const NodeUse& use : uses_.of(pad))
      if (use.node->op() == "ShapeN") {
        for (const NodeUse& reader : uses_.of(*use.node))
          if (!is_dead(*reader.node) && (reader.input != 1 || std::ranges::find(padded.filter_gradients, reader.node) ==
                                                                  padded.filter_gradients.end()))
            return std::nullopt;
        padded.sizes.push_back(use.node);
      }
    return padded.forward.size() == 1 ? std::optional(padded) : std::nullopt;
  }

  bool take_pad(tf::NodeDef* pad) {
    const std::optional<Padded> padded = readers_of(*pad);
    if (!padded) return false;
    for (const auto* readers : {&padded->forward, &padded->filter_gradients})
      for (tf::NodeDef* reader : *readers) {
        reader->set_input(0, pad->input(0));
        set_paddings(padded->paddings, reader);
        // What the Pad waited for.
        for (const std::string& input : pad->input())
          if (parse_tensor(input).is_control() && std::ranges::find(reader->input(), input) == reader->input().end())
            reader->add_input(input);
      }
    for (tf::NodeDef* gradient : padded->filter_gradients) know_filter_sizes(gradient, *padded);
    mark_joined(pad, kFastConvolutionsSwitch);
    for (tf::NodeDef* sizes : padded->sizes) mark_joined(sizes, kFastConvolutionsSwitch);
    return true;
  }

  // Sizes of the filter that come from a node which reads the padded image become a constant.
  void know_filter_sizes(tf::NodeDef* gradient, const Padded& padded) {
    tf::NodeDef* sizes = node(gradient->input(1));
    if (std::ranges::find(padded.sizes, sizes) == padded.sizes.end()) return;
    const std::vector<int64_t> filter = shape_of_filter(index_, gradient->input(1));
    tf::Tensor value(tf::DT_INT32, {static_cast<int64_t>(filter.size())});
    for (size_t i = 0; i < filter.size(); ++i) value.flat<int32_t>()(i) = static_cast<int32_t>(filter[i]);
    const std::string name = gradient->name() + "/filter_sizes";
    gradient->set_input(1, name);
    new_sizes_.emplace_back(name, value);
  }

  tf::GraphDef& graph_;
  const NodeIndex index_;
  const NodeUses uses_;
  std::set<const tf::NodeDef*> replaced_;  // gradients whose Slice was their only reader
  std::unique_ptr<GraphShapes> shapes_;
  std::vector<std::pair<std::string, tf::Tensor>> new_sizes_;  // added when nobody asks uses_ any more
};

}  // namespace

int pad_in_convolutions(tf::GraphDef* graph) { return Paddings(graph).rewrite(); }

}  // namespace mox
