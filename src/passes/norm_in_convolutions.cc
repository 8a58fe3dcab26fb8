#include "passes/norm_in_convolutions.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "convolutions/convolution.h"
#include "graph/node_defs.h"
#include "passes/convolution_nodes.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"
#include "passes/node_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_NORM_IN_CONVOLUTIONS";
constexpr int kMoments = 3;  // outputs of MoxMoments, and of a convolution behind its first

// Which convolutions have the outputs `moments`. The 3x3 ones do not: a tile of Winograd's is no row of the result.
struct WithMoments {
  const char* op;
  bool any_filter;  // else 1x1
};
constexpr WithMoments kWithMoments[] = {{"MoxConvolution", false}, {"MoxDepthwiseConvolution", true}};

// Gradients of a convolution's input that a norm's takes along, and what that becomes.
struct WithNorm {
  const char *op, *joined;
  bool is_depthwise;  // of others those that tell of rows
};
constexpr WithNorm kWithNorm[] = {
    {"MoxConvolutionInputGradient", "MoxConvolutionNormalizeGrad", false},
    {"MoxDepthwiseConvolutionInputGradient", "MoxDepthwiseConvolutionNormalizeGrad", true}};

const WithNorm* with_norm(const tf::NodeDef& gradient) {
  const auto* kind = std::find_if(std::begin(kWithNorm), std::end(kWithNorm),
                                  [&](const WithNorm& k) { return gradient.op() == k.op; });
  return kind == std::end(kWithNorm) ? nullptr : kind;
}

// 0 where it is not given.
int64_t int_attr(const tf::NodeDef& node, const char* name) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? 0 : found->second.i();
}

bool has_control_inputs(const tf::NodeDef& node) {
  // They stand behind all others.
  return node.input_size() > 0 && parse_tensor(node.input(node.input_size() - 1)).is_control();
}

// Of the gradient of a convolution's input, TensorFlow's or ours; 0: of something else, or of another kind.
int64_t stride_of_input_gradient(const tf::NodeDef& node) {
  if (node.op() == "MoxConvolutionInputGradient") return int_attr(node, "stride");
  return node.op() == "Conv2DBackpropInput" && is_plain_convolution(node) ? stride_of(node) : 0;
}

// A gradient of batch norm, and that of the convolution which it takes along.
struct Gradient {
  tf::NodeDef *norm = nullptr, *convolution = nullptr;
  int dy = 0;                      // which of the norm's inputs the convolution's gradient is
  tf::NodeDef* strided = nullptr;  // the other one if that is 0 but where a stride reads
};

std::string name_of_compact(const tf::NodeDef& gradient) { return gradient.name() + "/compact"; }

class Norms {
 public:
  explicit Norms(tf::GraphDef* graph) : index_(index_nodes(*graph)), uses_(graph) {}

  const std::vector<NodeUse>& uses(const tf::NodeDef& node) const { return uses_.of(node); }

  // The convolution that can compute these statistics; nullptr: none.
  tf::NodeDef* convolution_of_moments(const tf::NodeDef& moments) const {
    if (moments.op() != "MoxMoments" || uses(moments).empty()) return nullptr;
    // What reads the statistics then would no longer wait; made to wait, the convolution might for what waits for it.
    if (has_control_inputs(moments)) return nullptr;
    tf::NodeDef* convolution = first_output(moments.input(0));
    if (!convolution || convolution->device() != moments.device() || int_attr(*convolution, "num_bias") != 0)
      return nullptr;
    const auto* kind = std::find_if(std::begin(kWithMoments), std::end(kWithMoments),
                                    [&](const WithMoments& k) { return convolution->op() == k.op; });
    if (kind == std::end(kWithMoments)) return nullptr;
    const convolutions::Convolution c = described(*convolution);
    return kind->any_filter || (c.filters > 0 && tells_rows_of_output(c)) ? convolution : nullptr;
  }

  std::optional<Gradient> gradient(tf::NodeDef* norm) const {
    const int64_t num_dy = norm->op() == "MoxNormalizeGrad" ? int_attr(*norm, "num_dy") : 0;
    if (num_dy < 1 || num_dy > 2) return std::nullopt;
    std::optional<Gradient> best;
    std::pair<bool, double> most;
    for (int dy = 0; dy < num_dy; ++dy) {
      tf::NodeDef* convolution = first_output(norm->input(dy));
      if (!convolution || !can_take(*convolution, *norm)) continue;
      // Of two the larger product: what the norm reads from memory meanwhile is the same, and hides behind it better.
      // One of 1x1 with a stride is mostly 0, and can be taken compact beside another.
      const std::pair<bool, double> size{
          filters_if_pointwise(convolution->input(1)) == 0 || stride_of_input_gradient(*convolution) < 2,
          products_a_number(*convolution)};
      if (!best || size > most) {
        best = Gradient{norm, convolution, dy};
        most = size;
      }
    }
    if (best && num_dy == 2) best->strided = strided(*best);
    return best;
  }

 private:
  // The node whose output 0 this is.
  tf::NodeDef* first_output(const std::string& tensor) const {
    const TensorRef at = parse_tensor(tensor);
    return at.port == 0 ? uses_.node(at.node) : nullptr;
  }

  // How many filters there are; 0: another than [1, 1, channels, filters], or not known.
  int64_t filters_if_pointwise(const std::string& filter) const {
    const std::vector<int64_t> shape = shape_of_filter(index_, filter);
    return shape.size() == 4 && shape[0] == 1 && shape[1] == 1 ? std::max<int64_t>(shape[3], 0) : 0;
  }

  // Of a convolution or the gradient of its input, as far as the graph knows it; filters = 0: it does not.
  convolutions::Convolution described(const tf::NodeDef& node) const {
    const std::vector<int64_t> filter = shape_of_filter(index_, node.input(1));
    if (filter.size() != 4) return {};
    return {.channels = filter[2],
            .filters = filter[3],
            .filter_height = filter[0],
            .filter_width = filter[1],
            .stride = std::max<int64_t>(int_attr(node, "stride"), 1)};
  }

  // For each number of the gradient.
  double products_a_number(const tf::NodeDef& gradient) const {
    const convolutions::Convolution c = described(gradient);
    const auto places = static_cast<double>(c.filter_height * c.filter_width),
               pixels = static_cast<double>(c.stride * c.stride);
    return places / pixels * static_cast<double>(with_norm(gradient)->is_depthwise ? 1 : c.filters);
  }

  // Whether there is one who reads `node` or waits for it.
  bool has_one_reader(const tf::NodeDef& node) const {
    return std::ranges::count_if(uses(node), [&](const NodeUse& use) { return !uses_.is_left_behind(*use.node); }) == 1;
  }

  bool can_take(const tf::NodeDef& convolution, const tf::NodeDef& norm) const {
    const WithNorm* kind = with_norm(convolution);
    if (!kind || convolution.device() != norm.device()) return false;
    const convolutions::Convolution c = described(convolution);
    return (kind->is_depthwise || (c.filters > 0 && tells_rows(c))) && has_one_reader(convolution);
  }

  // What else arrives at `found`'s norm, if that is a 1x1 convolution's with a stride, which it can take compact.
  tf::NodeDef* strided(const Gradient& found) const {
    tf::NodeDef* other = first_output(found.norm->input(1 - found.dy));
    if (!other || stride_of_input_gradient(*other) < 2 || stride_of_input_gradient(*found.convolution) != 1 ||
        other->device() != found.norm->device() || !has_one_reader(*other))
      return nullptr;
    const std::string &filter_of_other = other->input(1), &filter_of_taken = found.convolution->input(1);
    if (filters_if_pointwise(filter_of_other) == 0 || filters_if_pointwise(filter_of_taken) == 0) return nullptr;
    const std::vector<int64_t> filter = shape_of_filter(index_, filter_of_other);
    const tf::DataType type = found.norm->attr().at("T").type();
    // Another count of channels is that of a group.
    if (filter[2] != shape_of_filter(index_, filter_of_taken)[2] || other->attr().at("T").type() != type ||
        uses_.node(name_of_compact(*other)))
      return nullptr;
    const bool is_fast = convolutions::is_fast(convolutions::Direction::kInputGradient,
                                               {.channels = filter[2], .filters = filter[3]}, type == tf::DT_FLOAT);
    return is_fast ? other : nullptr;
  }

  const NodeIndex index_;
  const NodeUses uses_;
};

// Who read the statistics reads the convolution's, which they were computed of: no new way leads back to it.
void move_moments(const std::vector<NodeUse>& readers, tf::NodeDef* moments, tf::NodeDef* convolution) {
  for (const NodeUse& use : readers) {
    const int port = parse_tensor(use.node->input(use.input)).port;
    *use.node->mutable_input(use.input) = TensorRef{convolution->name(), port < 0 ? port : 1 + port}.text();
  }
  tf::SetAttrValue(kMoments, &(*convolution->mutable_attr())["num_moments"]);
  mark_joined(moments, kSwitch);
  // Fed, it would be computed nevertheless, for the statistics of what is not fed.
  mark_joined(convolution, kSwitch);
}

// Beside the whole one, which is for who asks for it by name.
std::string add_compact(tf::GraphDef* graph, tf::NodeDef* gradient) {
  NodeMaker compact(graph, name_of_compact(*gradient), "MoxConvolutionInputGradient");
  for (const std::string& input : gradient->input()) compact.input(input);
  compact.device(gradient->device())
      .attr("T", gradient->attr().at("T").type())
      .attr("stride", stride_of_input_gradient(*gradient))
      .attr("padding", "VALID")  // there is nothing to pad
      .attr("compact", true);
  mark_joined(gradient, kSwitch);
  return compact.name();
}

// The norm's gradient waits for what the convolution's did. There is no way from one to the other but the input that
// goes: nobody else reads the convolution's, so that another gradient that arrives does not depend on it.
void join(tf::GraphDef* graph, const Gradient& found) {
  const tf::NodeDef old = *found.norm;
  tf::NodeDef& norm = *found.norm;
  const int num_dy = static_cast<int>(int_attr(old, "num_dy"));
  norm.set_op(with_norm(*found.convolution)->joined);
  norm.clear_input();
  norm.add_input(found.convolution->input(1));  // filter
  norm.add_input(found.convolution->input(2));  // dz
  for (int i = 0; i < old.input_size(); ++i)    // the other dy, then what the norm had; last what it waits for
    if (found.strided && i == 1 - found.dy)
      norm.add_input(add_compact(graph, found.strided));
    else if (i != found.dy)
      norm.add_input(old.input(i));
  for (const std::string& input : found.convolution->input())
    if (parse_tensor(input).is_control() &&
        std::find(norm.input().begin(), norm.input().end(), input) == norm.input().end())
      norm.add_input(input);
  norm.mutable_attr()->erase("num_dy");
  for (const char* name : {"stride", "padding", "explicit_paddings"})
    if (const auto of = found.convolution->attr().find(name); of != found.convolution->attr().end())
      (*norm.mutable_attr())[name] = of->second;
  tf::SetAttrValue(num_dy - 1, &(*norm.mutable_attr())["num_more"]);
  if (found.strided) tf::SetAttrValue(stride_of_input_gradient(*found.strided), &(*norm.mutable_attr())["more_stride"]);
  mark_joined(found.convolution, kSwitch);
}

}  // namespace

int compute_norms_in_convolutions(tf::GraphDef* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  const Norms norms(graph);
  std::vector<std::pair<tf::NodeDef*, tf::NodeDef*>> moments;
  std::vector<Gradient> gradients;
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (tf::NodeDef* convolution = norms.convolution_of_moments(node)) moments.push_back({&node, convolution});
    if (std::optional<Gradient> found = norms.gradient(&node)) gradients.push_back(*found);
  }
  for (const auto& [node, convolution] : moments) move_moments(norms.uses(*node), node, convolution);
  for (const Gradient& found : gradients) join(graph, found);
  return static_cast<int>(moments.size() + gradients.size());
}

}  // namespace mox
