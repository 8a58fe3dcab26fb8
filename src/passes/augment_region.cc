#include "passes/augment_region.h"

#include <initializer_list>
#include <vector>

#include "graph/augment_marks.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

namespace marks = augment_marks;

std::string text_attr(const tf::NodeDef& node, const char* name) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? "" : found->second.s();
}

// False where it is not given.
bool bool_attr(const tf::NodeDef& node, const char* name) {
  const auto found = node.attr().find(name);
  return found != node.attr().end() && found->second.b();
}

// Walks from the result back to the image, along first inputs.
class Walk {
 public:
  Walk(const FunctionBody& body, const tf::NodeDef& last) : body_(body), at_(last.input(0)) {}

  bool over(std::initializer_list<const char*> ops) {
    const tf::NodeDef* node = body_.producer(at_);
    if (!node || !is_one_of(node->op(), ops)) return false;
    if (node->op() == "ResizeBilinear" && (bool_attr(*node, "align_corners") || bool_attr(*node, "half_pixel_centers")))
      return false;
    at_ = node->input(0);
    return true;
  }
  bool over_all(std::initializer_list<const char*> ops) {
    for (const char* op : ops)
      if (!over({op})) return false;
    return true;
  }
  // A mirroring or none, by a switch: one of the merge's inputs is mirrored, the other as it was.
  bool over_flip() {
    const tf::NodeDef* merge = body_.producer(at_);
    if (!merge || merge->op() != "Merge" || merge->input_size() != 2) return false;
    std::set<std::string> kinds, sources;
    for (const std::string& input : merge->input()) {
      const tf::NodeDef* kind = body_.producer(input);
      const tf::NodeDef* branch = kind && kind->input_size() > 0 ? body_.producer(kind->input(0)) : nullptr;
      if (!branch || branch->op() != "Switch") return false;
      kinds.insert(kind->op());
      sources.insert(branch->input(0));
    }
    if (kinds != std::set<std::string>{"Identity", "ReverseV2"} || sources.size() != 1) return false;
    at_ = *sources.begin();
    return true;
  }
  const std::string& at() const { return at_; }

 private:
  const FunctionBody& body_;
  std::string at_;
};

// Sets what the walk finds; false where anything else is done than MoxDecodeAugment does.
bool walk_to_image(const FunctionBody& body, AugmentRegion* region) {
  Walk walk(body, *region->last);
  if (region->vgg()) {
    if (region->last->op() != "Sub") return false;
    if (region->training()) region->flips = walk.over_flip();
    if (!walk.over_all({"Slice", "Squeeze", "ResizeBilinear", "ExpandDims"})) return false;
  } else {
    if (region->last->op() != "Mul" || !walk.over({"Sub"})) return false;
    if (region->training()) {
      if (!walk.over_all({"ClipByValue", "AdjustSaturation", "Add"})) return false;
      region->flips = walk.over_flip();
    }
    if (!walk.over_all({"Mul", "Squeeze", "ResizeBilinear", "ExpandDims"})) return false;
    walk.over({"EnsureShape"});
    // The middle may be the whole image.
    if (!walk.over({"Slice"}) && region->training()) return false;
  }
  region->image = walk.at();
  return true;
}

// Collects the region's nodes; false where it reads anything from outside but the image.
bool collect(const FunctionBody& body, AugmentRegion* region) {
  std::vector<tf::NodeDef*> stack{region->last};
  while (!stack.empty()) {
    tf::NodeDef* node = stack.back();
    stack.pop_back();
    if (!region->nodes.insert(node->name()).second) continue;
    if (const std::string draw = text_attr(*node, marks::kDraw); !draw.empty())
      if (!region->draws.emplace(draw, node).second) return false;
    for (const std::string& input : node->input()) {
      if (input == region->image) continue;
      tf::NodeDef* from = body.producer(input);
      if (!from) return false;
      stack.push_back(from);
    }
  }
  return true;
}

bool has_draws(const AugmentRegion& region) {
  std::map<std::string, const char*> expected;
  if (region.training()) {
    if (region.vgg())
      expected = {{marks::kResizedSide, "RandomUniformInt"},
                  {marks::kTop, "RandomUniformInt"},
                  {marks::kLeft, "RandomUniformInt"}};
    else
      expected = {
          {marks::kBox, "SampleDistortedBoundingBoxV2"}, {marks::kBrightness, "Add"}, {marks::kSaturation, "Add"}};
    if (region.flips) expected[marks::kFlip] = "RandomUniformInt";
  }
  if (region.draws.size() != expected.size()) return false;
  for (const auto& [name, op] : expected) {
    const auto found = region.draws.find(name);
    if (found == region.draws.end() || found->second->op() != op) return false;
  }
  return true;
}

}  // namespace

bool AugmentRegion::vgg() const { return text_attr(*last, marks::kFamily) == marks::kVgg; }
bool AugmentRegion::training() const { return bool_attr(*last, marks::kTraining); }

std::optional<AugmentRegion> find_augment_region(const FunctionBody& body, tf::NodeDef* last) {
  AugmentRegion region;
  region.last = last;
  const std::string family = text_attr(*last, marks::kFamily);
  if (family != marks::kVgg && family != marks::kInception) return std::nullopt;
  if (!walk_to_image(body, &region) || !collect(body, &region) || !has_draws(region)) return std::nullopt;
  return region;
}

bool is_closed(FunctionBody* body, const AugmentRegion& region, const std::string& result) {
  for (const tf::NodeDef& node : body->def().node_def()) {
    const bool inside = region.nodes.count(node.name());
    for (const std::string& input : node.input()) {
      if (!inside && input == region.image) return false;
      if (!inside && input != result && region.nodes.count(FunctionBody::owner(input))) return false;
    }
  }
  for (const auto& [name, value] : body->def().ret())
    if (value == region.image || (value != result && region.nodes.count(FunctionBody::owner(value)))) return false;
  return true;
}

}  // namespace mox
