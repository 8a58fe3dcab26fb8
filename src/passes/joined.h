// Nodes whose work another operation does since a pass joined them: they stay under their names, for who fetches them,
// but nothing reads them any more, so that who feeds one in a step would wonder. So are nodes whose operation computes
// more of what follows than it did: that would not be of what is fed.
#pragma once

#include <string>

#include "moxing/export.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace mox {

// `switched_by`: the variable of the environment with which the pass joins nothing; the first pass counts.
void mark_joined(tensorflow::NodeDef* node, const std::string& switched_by);
// That variable; "" for other nodes.
MOX_EXPORT std::string joined_by(const tensorflow::NodeDef& node);

}  // namespace mox
