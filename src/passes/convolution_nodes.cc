#include "passes/convolution_nodes.h"

#include "graph/node_defs.h"

namespace mox {

int64_t stride_of(const tensorflow::NodeDef& node) {
  const auto& strides = node.attr().at("strides").list();
  if (strides.i_size() != 4 || strides.i(0) != 1 || strides.i(3) != 1 || strides.i(1) != strides.i(2)) return 0;
  return strides.i(1);
}

bool is_nhwc(const tensorflow::NodeDef& node) {
  const auto format = node.attr().find("data_format");
  return format == node.attr().end() || format->second.s() == "NHWC";
}

bool is_plain_convolution(const tensorflow::NodeDef& node) {
  if (!is_nhwc(node)) return false;
  if (const auto dilations = node.attr().find("dilations"); dilations != node.attr().end())
    for (const int64_t dilation : dilations->second.list().i())
      if (dilation != 1) return false;
  return is_one_of(node.attr().at("padding").s(), {"SAME", "VALID"});
}

}  // namespace mox
