#include "moxing/hooks.h"

#include "graph/tensor_info.h"
#include "run/past_end.h"

namespace mox {

namespace tf = tensorflow;

Fetch::Fetch(const tf::Output& tensor) {
  if (!tensor.node()) throw InvalidArgumentError("a hook fetches or feeds something that is no tensor");
  name_ = tensor_name(tensor);
}

Fetch::Fetch(const tf::Operation& operation) : name_(operation.node()->name()) {}

Fetch::Fetch(std::string name) : name_(std::move(name)) {}

OutOfRangeError::~OutOfRangeError() = default;
InputEndedInHook::~InputEndedInHook() = default;
PastEndInHook::~PastEndInHook() = default;
HookSession::~HookSession() = default;
SessionRunHook::~SessionRunHook() = default;
AggregativeSessionRunHook::~AggregativeSessionRunHook() = default;

}  // namespace mox
