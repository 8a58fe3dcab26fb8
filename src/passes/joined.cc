#include "passes/joined.h"

#include "tensorflow/core/framework/node_def_util.h"

namespace mox {
namespace {

constexpr char kJoined[] = "_mox_joined";

}  // namespace

void mark_joined(tensorflow::NodeDef* node, const std::string& switched_by) {
  if (joined_by(*node).empty()) tensorflow::SetAttrValue(switched_by, &(*node->mutable_attr())[kJoined]);
}

std::string joined_by(const tensorflow::NodeDef& node) {
  const auto found = node.attr().find(kJoined);
  return found == node.attr().end() ? "" : found->second.s();
}

}  // namespace mox
