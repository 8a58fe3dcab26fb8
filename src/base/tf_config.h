// TF_CONFIG, the environment variable in which cluster managers describe a cluster.
#pragma once

#include <optional>
#include <string>

#include "moxing/flags.h"

namespace mox {

// What it says for the flags job_name, task_index, ps_hosts and worker_hosts; nothing for others, or when it is not
// set. A chief (or master) is the first worker. InvalidArgumentError when it cannot be read.
std::optional<FlagValue> value_in_tf_config(const std::string& flag);

// The same of a text, which is not empty.
std::optional<FlagValue> value_in_cluster_text(const std::string& text, const std::string& flag);

}  // namespace mox
