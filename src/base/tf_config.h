// TF_CONFIG, the environment variable in which cluster managers describe a cluster.
#pragma once

#include <optional>
#include <string>

#include "base/cluster_env.h"
#include "moxing/flags.h"

namespace mox {

// From the value of TF_CONFIG, as Kubeflow and others write it: {"cluster": {"worker": ["host:port", …], "ps": […]},
// "task": {"type": "worker", "index": 0}}. A chief (or master) is the first worker. InvalidArgumentError that names the
// field, what it has, what is expected, and shows the text.
MOX_EXPORT ClusterTask cluster_from_tf_config(const std::string& text);

// What it says for the flags job_name, task_index, ps_hosts and worker_hosts; nothing for what it leaves out. An
// evaluator is no member of the cluster: for it there is its job_name alone. InvalidArgumentError as above.
std::optional<FlagValue> value_in_tf_config(const std::string& flag, const std::string& text);

}  // namespace mox
