// What a session in this process has in host memory, without a run of the session.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

namespace tensorflow {
class Device;
}

namespace mox {

// For each kind of run TensorFlow copies the graph, optimizes it and prepares what is left of it, however small that
// is. What runs once, and what only reads variables, need not wait for that. Only where the session has one device, the
// CPU.
class MOX_EXPORT DirectAccess {
 public:
  // Nothing where `session` is another's, or has more devices.
  static std::optional<DirectAccess> to(tensorflow::Session& session);

  // The variable's value as a ReadVariableOp would give it; `handle`: its VarHandleOp. Nothing where it has none.
  std::optional<tensorflow::Tensor> read(const tensorflow::NodeDef& handle) const;

  // Operations and all that they need, for run(). Nothing where that is only to be had in a run of the session:
  // functions, or devices that the graph names.
  static std::optional<tensorflow::GraphDef> cut_out(const tensorflow::GraphDef& graph,
                                                     const std::vector<std::string>& operations);
  // Runs them, on the session's resources; in any thread.
  absl::Status run(tensorflow::GraphDef part) const;

 private:
  explicit DirectAccess(tensorflow::Device* device) : device_(device) {}

  tensorflow::Device* device_;
};

}  // namespace mox
