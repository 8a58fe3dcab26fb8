// One function a network or a group of its sizes; the table in builtin.cc gives them their names.
#pragma once

#include "nets/network.h"

namespace mox::nets {

NetworkOutput lenet(const Scope& scope, const tensorflow::Output& images, const Params& params);

}  // namespace mox::nets
