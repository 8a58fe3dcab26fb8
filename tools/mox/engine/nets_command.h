#pragma once

#include <string>
#include <vector>

namespace mox::cli {

// mox nets [NAME] [--json] [--num_classes=N] [--image_size=N] [--batch_size=N]
int run_nets(const std::vector<std::string>& args);

}  // namespace mox::cli
