#include "passes/fuse_augment.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "graph/augment_marks.h"
#include "graph/node_defs.h"
#include "moxing/log.h"
#include "passes/augment_batches.h"
#include "passes/augment_region.h"
#include "passes/function_body.h"

namespace mox {

namespace tf = tensorflow;

namespace {

namespace marks = augment_marks;

// What decodes a file, as it is, into three channels.
bool is_plain_decode(const tf::NodeDef* node) {
  if (!node || node->op() != "MoxDecodeImage") return false;
  const auto number = [&](const char* name, int64_t otherwise) {
    const auto found = node->attr().find(name);
    return found == node->attr().end() ? otherwise : found->second.i();
  };
  return number("height", 0) == 0 && number("channels", 3) == 3;
}

// Puts MoxDecodeAugment, and what it needs of the region, into the function that decodes.
class Fused {
 public:
  Fused(const FunctionBody& from, const AugmentRegion& region, const tf::NodeDef& decode, FunctionBody* into)
      : from_(from), region_(region), decode_(decode), into_(into), prefix_(region.last->name() + "/mox/") {}

  // The result; "" where a draw depends on the pixels.
  std::string build() {
    std::vector<std::string> integers, floats;
    if (region_.training()) {
      if (region_.vgg())
        integers = {draw(marks::kResizedSide, "output"), whole_range(marks::kTop), whole_range(marks::kLeft)};
      else
        integers = {draw(marks::kBox, "begin"), draw(marks::kBox, "size")};
      if (region_.flips) integers.push_back(draw(marks::kFlip, "output"));
      if (!region_.vgg()) floats = {draw(marks::kBrightness, "z"), draw(marks::kSaturation, "z")};
    }
    if (!possible_) return "";
    tf::NodeDef node = reader("image", "MoxDecodeAugment");
    for (const std::string& input : integers) node.add_input(input);
    for (const std::string& input : floats) node.add_input(input);
    auto& attributes = *node.mutable_attr();
    tf::SetAttrValue(static_cast<int64_t>(integers.size()), &attributes["num_integers"]);
    tf::SetAttrValue(static_cast<int64_t>(floats.size()), &attributes["num_floats"]);
    const auto& marked = region_.last->attr();
    if (const auto alpha = decode_.attr().find("alpha"); alpha != decode_.attr().end())
      attributes["alpha"] = alpha->second;
    attributes["family"] = marked.at(marks::kFamily);
    attributes["training"] = marked.at(marks::kTraining);
    attributes["side"] = marked.at(marks::kSide);
    attributes["values"] = marked.at(marks::kValues);
    tf::SetAttrValue(marked.at(marks::kSize).list().i(0), &attributes["height"]);
    tf::SetAttrValue(marked.at(marks::kSize).list().i(1), &attributes["width"]);
    nodes_.push_back(node);
    for (tf::NodeDef& added : nodes_) *into_->def().add_node_def() = std::move(added);
    return node.name() + ":image:0";
  }

 private:
  // One that reads the file.
  tf::NodeDef reader(const std::string& name, const char* op) const {
    tf::NodeDef node;
    node.set_name(prefix_ + name);
    node.set_op(op);
    node.add_input(decode_.input(0));
    node.add_input(decode_.input(1));
    if (const auto exif = decode_.attr().find("apply_exif"); exif != decode_.attr().end())
      (*node.mutable_attr())["apply_exif"] = exif->second;
    return node;
  }

  std::string draw(const char* mark, const char* output) { return copy(*region_.draws.at(mark)) + ":" + output + ":0"; }

  // A number of the whole range: its rest, by how many places there are, is what would have been drawn (but once in
  // 2^32 times), and the number of places is known only when the image is.
  std::string whole_range(const char* mark) {
    tf::NodeDef node = *region_.draws.at(mark);
    for (int i = 1; i <= 2; ++i) {
      const std::string bound = prefix_ + node.name() + (i == 1 ? "/least" : "/end");
      tf::Tensor value(tf::DT_INT32, {});
      value.scalar<int32_t>()() = i == 1 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
      tf::NodeDef constant;
      constant.set_name(bound);
      constant.set_op("Const");
      tf::SetAttrValue(value, &(*constant.mutable_attr())["value"]);
      tf::SetAttrValue(tf::DT_INT32, &(*constant.mutable_attr())["dtype"]);
      nodes_.push_back(std::move(constant));
      node.set_input(i, bound + ":output:0");
    }
    const std::string name = prefix_ + node.name();
    node.set_name(name);
    node.set_input(0, copied_input(node.input(0)));
    keep_inputs(&node, 3);
    nodes_.push_back(std::move(node));
    return name + ":output:0";
  }

  static void keep_inputs(tf::NodeDef* node, int count) {
    while (node->input_size() > count) node->mutable_input()->RemoveLast();
  }

  // The node and all that it is computed from, under other names; returns its name.
  std::string copy(const tf::NodeDef& original) {
    const std::string name = prefix_ + original.name();
    if (!copied_.insert(original.name()).second) return name;
    tf::NodeDef node = original;
    node.set_name(name);
    node.clear_input();
    for (int i = 0; i < original.input_size(); ++i) {
      const std::string& input = original.input(i);
      if (input[0] == '^') continue;  // an assertion about the image, or a branch
      node.add_input(i == 0 && original.op() == "SampleDistortedBoundingBoxV2" ? shape_of_image(input)
                                                                               : copied_input(input));
    }
    nodes_.push_back(std::move(node));
    return name;
  }

  std::string copied_input(const std::string& input) {
    const tf::NodeDef* from = from_.producer(input);
    if (!from || input == region_.image || from->op() == "Switch" || from->op() == "Merge") {
      possible_ = false;
      return "";
    }
    return copy(*from) + input.substr(FunctionBody::owner(input).size());
  }

  std::string shape_of_image(const std::string& input) {
    const tf::NodeDef* shape = from_.producer(input);
    if (!shape || shape->op() != "Shape" || shape->input(0) != region_.image) {
      possible_ = false;
      return "";
    }
    nodes_.push_back(reader("shape", "MoxImageShape"));
    return nodes_.back().name() + ":shape:0";
  }

  const FunctionBody& from_;
  const AugmentRegion& region_;
  const tf::NodeDef& decode_;
  FunctionBody* into_;
  const std::string prefix_;
  bool possible_ = true;
  std::vector<tf::NodeDef> nodes_;
  std::set<std::string> copied_;
};

class AugmentPass {
 public:
  explicit AugmentPass(tf::GraphDef* graph) : graph_(graph) {
    for (tf::FunctionDef& function : *graph->mutable_library()->mutable_function())
      functions_[function.signature().name()] = &function;
    for (tf::NodeDef& node : *graph->mutable_node()) {
      nodes_[node.name()] = &node;
      for (const std::string& input : node.input()) ++readers_[node_of(input)];
      count_functions(node);
    }
    for (const tf::FunctionDef& function : graph->library().function())
      for (const tf::NodeDef& node : function.node_def()) count_functions(node);
  }

  int run() {
    int fused = 0;
    for (tf::NodeDef& map : *graph_->mutable_node())
      if (tf::FunctionDef* function = function_of(map)) fused += fuse_in(&map, function);
    if (fused > 0)
      for (tf::NodeDef& map : *graph_->mutable_node()) run_in_one_thread(&map);
    return fused;
  }

 private:
  void count_functions(const tf::NodeDef& node) {
    for (const auto& [name, value] : node.attr())
      if (value.has_func()) ++uses_[value.func().name()];
  }

  // Of a map; null of anything else, and where others run the function, too.
  tf::FunctionDef* function_of(const tf::NodeDef& map) {
    if (!is_one_of(map.op(), {"MapDataset", "ParallelMapDataset", "ParallelMapDatasetV2", "MapAndBatchDataset"}))
      return nullptr;
    const std::string& name = map.attr().at("f").func().name();
    const auto found = functions_.find(name);
    return found == functions_.end() || uses_[name] != 1 ? nullptr : found->second;
  }

  // An element in the thread that takes it: the executor would hand the small operations beside ours to others. What
  // branches is not for the executor that does so.
  void run_in_one_thread(tf::NodeDef* map) {
    const tf::FunctionDef* function = map->op() == "ParallelMapDatasetV2" ? function_of(*map) : nullptr;
    if (!function) return;
    bool fused = false;
    for (const tf::NodeDef& node : function->node_def()) {
      const bool calls = std::any_of(node.attr().begin(), node.attr().end(),
                                     [](const auto& attribute) { return attribute.second.has_func(); });
      if (calls || is_one_of(node.op(), {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond"})) return;
      fused |= node.op() == "MoxDecodeAugment";
    }
    if (fused) (*map->mutable_attr())["use_inter_op_parallelism"].set_b(false);
  }

  int fuse_in(tf::NodeDef* map, tf::FunctionDef* function) {
    std::vector<std::string> results;
    for (const tf::NodeDef& node : function->node_def())
      if (node.attr().count(marks::kFamily)) results.push_back(node.name());
    int fused = 0;
    for (const std::string& name : results) {
      FunctionBody body(function);
      tf::NodeDef* last = body.producer(name);
      const std::optional<AugmentRegion> region = last ? find_augment_region(body, last) : std::nullopt;
      if (!region || !is_closed(&body, *region, name + ":z:0")) continue;
      fused += body.producer(region->image) ? fuse_here(&body, *region) : fuse_where_decoded(map, &body, *region);
    }
    return fused;
  }

  // The function decodes, too.
  static bool fuse_here(FunctionBody* body, const AugmentRegion& region) {
    const tf::NodeDef* decode = body->producer(region.image);
    if (!is_plain_decode(decode)) return false;
    std::set<std::string> gone = region.nodes;  // as is the decoding
    gone.insert(decode->name());
    const std::string result = region.last->name() + ":z:0";
    const std::string image = Fused(*body, region, *decode, body).build();
    if (image.empty()) return false;
    body->redirect(result, image);
    body->remove_unread(gone);
    return true;
  }

  // What lies between the map and the one whose function decodes component `number` of its elements, that one last;
  // none where that is not plain.
  std::vector<tf::NodeDef*> way_to_decoding(const tf::NodeDef& map) {
    std::vector<tf::NodeDef*> way;
    for (const tf::NodeDef* at = &map;;) {
      const auto found = nodes_.find(node_of(at->input(0)));
      if (found == nodes_.end() || readers_[found->first] != 1) return {};
      way.push_back(found->second);
      if (function_of(*found->second)) return way;
      if (!is_one_of(found->second->op(),
                     {"MoxSkipBrokenDataset", "PrefetchDataset", "PrivateThreadPoolDataset", "OptionsDataset"}))
        return {};
      at = found->second;
    }
  }

  bool fuse_where_decoded(tf::NodeDef* map, FunctionBody* body, const AugmentRegion& region) {
    const int number = body->argument(region.image);
    const std::vector<tf::NodeDef*> way = way_to_decoding(*map);
    if (number < 0 || way.empty() || way.back()->op() == "MapAndBatchDataset") return false;
    FunctionBody decoding(function_of(*way.back()));
    auto& signature = *decoding.def().mutable_signature();
    if (number >= signature.output_arg_size()) return false;
    std::string& returned = (*decoding.def().mutable_ret())[signature.output_arg(number).name()];
    const tf::NodeDef* decode = decoding.producer(returned);
    if (!is_plain_decode(decode) || reads(decoding.def(), returned) != 1) return false;
    const std::set<std::string> decoder{decode->name()};
    const std::string result = region.last->name() + ":z:0";
    const tf::TensorShape shape(
        {region.last->attr().at(marks::kSize).list().i(0), region.last->attr().at(marks::kSize).list().i(1), 3});
    const std::string image = Fused(*body, region, *decode, &decoding).build();
    if (image.empty()) return false;
    returned = image;
    decoding.remove_unread(decoder);
    signature.mutable_output_arg(number)->set_type(tf::DT_FLOAT);
    for (tf::NodeDef* node : way) {
      auto& attributes = *node->mutable_attr();
      attributes.at("output_types").mutable_list()->set_type(number, tf::DT_FLOAT);
      shape.AsProto(attributes.at("output_shapes").mutable_list()->mutable_shape(number));
    }
    take_argument(body, number, result, region);
    return true;
  }

  // The argument is the result now.
  static void take_argument(FunctionBody* body, int number, const std::string& result, const AugmentRegion& region) {
    auto* argument = body->def().mutable_signature()->mutable_input_arg(number);
    argument->set_type(tf::DT_FLOAT);
    body->def().mutable_arg_attr()->erase(static_cast<uint32_t>(number));
    body->redirect(result, argument->name());
    body->remove_unread(region.nodes);
  }

  static int reads(const tf::FunctionDef& function, const std::string& tensor) {
    int count = 0;
    for (const tf::NodeDef& node : function.node_def())
      for (const std::string& input : node.input()) count += FunctionBody::owner(input) == FunctionBody::owner(tensor);
    for (const auto& [name, value] : function.ret()) count += value == tensor;
    return count;
  }

  tf::GraphDef* graph_;
  std::map<std::string, tf::FunctionDef*> functions_;
  std::map<std::string, tf::NodeDef*> nodes_;
  std::map<std::string, int> readers_, uses_;
};

}  // namespace

int fuse_augmentation(tf::GraphDef* graph) {
  if (!bool_in_environment("MOX_FUSE_AUGMENT").value_or(true)) return 0;
  const int fused = AugmentPass(graph).run();
  if (fused > 0) log_debug("input: decoding and preprocessing run as one operation");
  if (fused > 0 && augment_whole_batches(graph) > 0) log_debug("input: and a batch in one call");
  return fused;
}

}  // namespace mox
