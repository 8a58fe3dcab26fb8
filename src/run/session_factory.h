// How a run's session is made: TensorFlow's options for it, in one place, and where it runs.
#pragma once

#include <memory>
#include <string>

#include "moxing/export.h"
#include "run/breakable_session.h"
#include "run/run_config.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/platform/threadpool_options.h"
#include "tensorflow/core/public/session.h"

namespace mox {

class MOX_EXPORT SessionFactory {
 public:
  // `target`: "" for TensorFlow's runtime in this process, "grpc://host:port" for that of a server.
  // With a `breaker` its calls can be broken off, see there.
  explicit SessionFactory(const RunConfig& config, const std::string& target = "",
                          std::shared_ptr<SessionBreaker> breaker = nullptr);

  const DevicePlan& devices() const { return devices_; }
  // The threads that compute inside the operations of its sessions' steps; none: TensorFlow's own.
  const tensorflow::thread::ThreadPoolOptions& step_threads() const { return step_threads_; }

  // A session that has loaded `graph`. Error with what TensorFlow said.
  std::unique_ptr<tensorflow::Session> create(const tensorflow::GraphDef& graph) const;

 private:
  tensorflow::SessionOptions options_;
  DevicePlan devices_;
  tensorflow::thread::ThreadPoolOptions step_threads_;
  std::shared_ptr<SessionBreaker> breaker_;
};

}  // namespace mox
