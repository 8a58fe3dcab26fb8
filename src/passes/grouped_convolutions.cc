#include "passes/grouped_convolutions.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "convolutions/grouped.h"
#include "graph/node_defs.h"
#include "passes/convolution_nodes.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kChannels = 3;  // the dimension, of NHWC images and of filters

using Strings = std::vector<std::string>;

bool is_gradient(const tf::NodeDef& node, const char* of) { return node.op() == std::string("Conv2DBackprop") + of; }

bool same_attributes(const tf::NodeDef& a, const tf::NodeDef& b) {
  if (a.op() != b.op() || a.attr().at("T").type() != b.attr().at("T").type()) return false;
  return stride_of(a) == stride_of(b) && a.attr().at("padding").s() == b.attr().at("padding").s();
}

// What a joined operation reads, each the whole of its pieces; the sizes are a tensor, or known.
struct Match {
  tf::NodeDef* concat = nullptr;
  std::vector<const tf::NodeDef*> pieces;  // the convolutions
  std::string images, filter, gradient;    // "": it has none
  std::string sizes_of;                    // a tensor whose shape the result has
  std::vector<int64_t> sizes;              // where sizes_of is ""
  std::vector<const tf::NodeDef*> passed;  // other nodes whose control inputs count
};

class Finder {
 public:
  explicit Finder(tf::GraphDef* graph) : graph_(graph), index_(index_nodes(*graph)) {}

  std::vector<Match> find() const {
    std::vector<Match> found;
    for (tf::NodeDef& node : *graph_->mutable_node())
      if (node.op() == "ConcatV2")
        if (std::optional<Match> match = match_concat(&node)) found.push_back(*std::move(match));
    return found;
  }

 private:
  const tf::NodeDef* node(const std::string& tensor) const {
    const auto found = index_.find(node_of(tensor));
    return found == index_.end() ? nullptr : found->second;
  }

  std::optional<tf::Tensor> constant(const std::string& tensor) const {
    const tf::NodeDef* found = node(tensor);
    tf::Tensor value;
    if (!found || found->op() != "Const" || !value.FromProto(found->attr().at("value").tensor())) return std::nullopt;
    return value;
  }

  std::optional<int> number(const std::string& tensor) const {
    const std::optional<tf::Tensor> value = constant(tensor);
    if (!value || value->dtype() != tf::DT_INT32 || value->NumElements() != 1) return std::nullopt;
    return value->flat<int32_t>()(0);
  }

  // Whether a scalar is the last dimension of four, as gradients compute it from a negative one, too.
  bool is_channels(const std::string& tensor) const {
    const tf::NodeDef* found = node(tensor);
    if (found && is_one_of(found->op(), {"Mod", "FloorMod"}) && found->input_size() >= 2) {
      const tf::NodeDef* of = node(found->input(1));
      return of && (of->op() == "Rank" || number(found->input(1)) == 4) && is_channels(found->input(0));
    }
    const std::optional<int> axis = number(tensor);
    return axis && (*axis == kChannels || *axis == kChannels - 4);
  }

  // The node whose outputs these are, in their order and without one left over.
  const tf::NodeDef* only_source(const Strings& pieces) const {
    const tf::NodeDef* source = node(pieces[0]);
    for (size_t i = 0; i < pieces.size(); ++i) {
      const TensorRef piece = parse_tensor(pieces[i]);
      if (!source || piece.node != source->name() || piece.port != static_cast<int>(i)) return nullptr;
    }
    const char* count = !source ? nullptr : source->op() == "ConcatOffset" ? "N" : "num_split";
    const bool is_known = source && is_one_of(source->op(), {"Split", "SplitV", "ConcatOffset"});
    return is_known && source->attr().at(count).i() == static_cast<int64_t>(pieces.size()) ? source : nullptr;
  }

  // The tensor of which these are all equal pieces along the channels; "": none.
  std::string whole_of(const Strings& pieces, Match* match) const {
    const tf::NodeDef* source = only_source(pieces);
    if (!source || source->op() != "Split" || !is_channels(source->input(0))) return "";
    match->passed.push_back(source);
    return source->input(1);
  }

  // The same of a gradient of the outputs. Its pieces are as large as the outputs: their convolutions check that.
  std::string whole_gradient(const Strings& pieces, Match* match) const {
    if (const std::string whole = whole_of(pieces, match); !whole.empty()) return whole;
    if (const tf::NodeDef* source = only_source(pieces); source && source->op() == "SplitV") {
      if (!is_channels(source->input(2))) return "";
      match->passed.push_back(source);
      return source->input(0);
    }
    Strings offsets, sizes;
    for (const std::string& piece : pieces) {
      const tf::NodeDef* slice = node(piece);
      if (!slice || slice->op() != "Slice" || slice->input(0) != node(pieces[0])->input(0)) return "";
      offsets.push_back(slice->input(1));
      sizes.push_back(slice->input(2));
      match->passed.push_back(slice);
    }
    const tf::NodeDef* source = only_source(offsets);
    if (!source || source->op() != "ConcatOffset" || !is_channels(source->input(0))) return "";
    for (size_t i = 0; i < sizes.size(); ++i)
      if (parse_tensor(source->input(static_cast<int>(i) + 1)).text() != parse_tensor(sizes[i]).text()) return "";
    return node(pieces[0])->input(0);
  }

  // What the shapes of the pieces say of the whole.
  bool find_sizes(const Strings& pieces, Match* match) const {
    if (const std::optional<tf::Tensor> first = constant(pieces[0])) {
      if (first->dtype() != tf::DT_INT32 || first->dims() != 1 || first->NumElements() != 4) return false;
      const auto sizes = first->vec<int32_t>();
      for (const std::string& piece : pieces) {
        const std::optional<tf::Tensor> other = constant(piece);
        if (!other || other->tensor_data() != first->tensor_data()) return false;
      }
      match->sizes = {sizes(0), sizes(1), sizes(2), sizes(3) * static_cast<int64_t>(pieces.size())};
      return true;
    }
    Strings of;
    for (const std::string& piece : pieces) {
      const tf::NodeDef* shape = node(piece);
      if (!shape || !is_one_of(shape->op(), {"Shape", "ShapeN"})) return false;
      of.push_back(shape->input(shape->op() == "ShapeN" ? parse_tensor(piece).port : 0));
    }
    match->sizes_of = whole_of(of, match);
    return !match->sizes_of.empty();
  }

  std::optional<Match> match_concat(tf::NodeDef* concat) const {
    Match match;
    match.concat = concat;
    const auto count = static_cast<int>(concat->attr().at("N").i());
    const tf::NodeDef* first = node(concat->input(0));
    if (count < 2 || !first || !is_one_of(first->op(), {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}))
      return std::nullopt;
    if (!is_plain_convolution(*first) || stride_of(*first) == 0 || !is_channels(concat->input(count)))
      return std::nullopt;
    std::vector<Strings> inputs(3);
    for (int i = 0; i < count; ++i) {
      const tf::NodeDef* piece = node(concat->input(i));
      if (!piece || piece->op() != first->op() || !is_plain_convolution(*piece) || !same_attributes(*first, *piece))
        return std::nullopt;
      match.pieces.push_back(piece);
      for (int k = 0; k < (first->op() == "Conv2D" ? 2 : 3); ++k) inputs[k].push_back(piece->input(k));
    }
    return find_wholes(inputs, &match) && is_fast(match) ? std::optional(std::move(match)) : std::nullopt;
  }

  bool find_wholes(const std::vector<Strings>& inputs, Match* match) const {
    const tf::NodeDef& first = *match->pieces[0];
    if (!is_gradient(first, "Input") && (match->images = whole_of(inputs[0], match)).empty()) return false;
    if (!is_gradient(first, "Filter") && (match->filter = whole_of(inputs[1], match)).empty()) return false;
    if (first.op() == "Conv2D") return true;
    if ((match->gradient = whole_gradient(inputs[2], match)).empty()) return false;
    return find_sizes(inputs[is_gradient(first, "Input") ? 0 : 1], match);
  }

  bool is_fast(const Match& match) const {
    const tf::NodeDef& first = *match.pieces[0];
    if (!is_one_of(tf::DataTypeString(first.attr().at("T").type()), {"float", "bfloat16"})) return false;
    std::vector<int64_t> filter = match.sizes;
    if (!is_gradient(first, "Filter") || filter.empty())
      filter = shape_of_filter(index_, is_gradient(first, "Filter") ? match.sizes_of : match.filter);
    if (filter.size() != 4) return false;
    const auto groups = static_cast<int64_t>(match.pieces.size());
    return convolutions::is_fast_grouped({.channels = filter[2] * groups,
                                          .filters = filter[3],
                                          .filter_height = filter[0],
                                          .filter_width = filter[1],
                                          .stride = stride_of(first)},
                                         groups);
  }

  tf::GraphDef* graph_;
  NodeIndex index_;
};

// The node of the sizes of the result.
std::string add_sizes(tf::GraphDef* graph, const Match& match) {
  const std::string name = match.concat->name() + "/sizes", device = match.concat->device();
  if (!match.sizes_of.empty())
    return NodeMaker(graph, name, "Shape")
        .input(match.sizes_of)
        .attr("T", match.pieces[0]->attr().at("T").type())
        .attr("out_type", tf::DT_INT32)
        .device(device)
        .name();
  tf::Tensor value(tf::DT_INT32, {4});
  for (int i = 0; i < 4; ++i) value.vec<int32_t>()(i) = static_cast<int32_t>(match.sizes[i]);
  return NodeMaker(graph, name, "Const").attr("dtype", tf::DT_INT32).attr("value", value).device(device).name();
}

// The ConcatV2 becomes the operation, and waits for what any of them waited for.
void join(tf::GraphDef* graph, const Match& match) {
  const tf::NodeDef& first = *match.pieces[0];
  tf::NodeDef joined;
  joined.set_name(match.concat->name());
  joined.set_device(match.concat->device());
  if (first.op() == "Conv2D") {
    joined.set_op("MoxGroupedConvolution");
    joined.add_input(match.images);
    joined.add_input(match.filter);
  } else if (is_gradient(first, "Input")) {
    joined.set_op("MoxGroupedConvolutionInputGradient");
    joined.add_input(add_sizes(graph, match));
    joined.add_input(match.filter);
    joined.add_input(match.gradient);
  } else {
    joined.set_op("MoxGroupedConvolutionFilterGradient");
    joined.add_input(match.images);
    joined.add_input(add_sizes(graph, match));
    joined.add_input(match.gradient);
  }
  std::set<std::string> control;
  std::vector<const tf::NodeDef*> nodes = match.passed;
  nodes.push_back(match.concat);
  nodes.insert(nodes.end(), match.pieces.begin(), match.pieces.end());
  for (const tf::NodeDef* node : nodes)
    for (const std::string& input : node->input())
      if (parse_tensor(input).is_control()) control.insert(input);
  for (const std::string& input : control) joined.add_input(input);
  auto& attr = *joined.mutable_attr();
  attr["T"] = first.attr().at("T");
  attr["padding"] = first.attr().at("padding");
  tf::SetAttrValue(stride_of(first), &attr["stride"]);
  tf::SetAttrValue(static_cast<int64_t>(match.pieces.size()), &attr["groups"]);
  *match.concat = std::move(joined);
}

// Pieces and what is around them stay where they are, for who asks for them by name. Marks those that nobody else runs:
// what reads them is one of them, or a shape that only they read.
void mark_unread(tf::GraphDef* graph, const std::set<std::string>& pieces, const std::set<std::string>& around) {
  std::unordered_map<std::string, Strings> readers;
  Strings left(pieces.begin(), pieces.end());
  left.insert(left.end(), around.begin(), around.end());
  for (const tf::NodeDef& node : graph->node()) {
    for (const std::string& input : node.input()) readers[node_of(input)].push_back(node.name());
    if (is_one_of(node.op(), {"Shape", "ShapeN", "ConcatOffset"})) left.push_back(node.name());
  }
  std::unordered_set<std::string> unread;
  size_t before = 0;
  do {
    before = unread.size();
    for (const std::string& name : left) {
      const Strings& of = readers[name];
      if (std::all_of(of.begin(), of.end(), [&](const std::string& reader) { return unread.count(reader) > 0; }))
        unread.insert(name);
    }
  } while (unread.size() != before);
  for (tf::NodeDef& node : *graph->mutable_node())
    if ((pieces.count(node.name()) || around.count(node.name())) && unread.count(node.name()))
      mark_joined(&node, kFastConvolutionsSwitch);
}

}  // namespace

int join_grouped_convolutions(tf::GraphDef* graph) {
  if (!convolutions::convolution_loops() || !bool_in_environment(kFastConvolutionsSwitch).value_or(true)) return 0;
  const std::vector<Match> found = Finder(graph).find();
  if (found.empty()) return 0;
  std::set<std::string> pieces, around;
  for (const Match& match : found) {
    for (const tf::NodeDef* piece : match.pieces) pieces.insert(piece->name());
    for (const tf::NodeDef* node : match.passed) around.insert(node->name());
  }
  for (const Match& match : found) join(graph, match);
  mark_unread(graph, pieces, around);
  return static_cast<int>(found.size());
}

}  // namespace mox
