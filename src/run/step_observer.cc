#include "run/step_observer.h"

namespace mox {

StepObserver::~StepObserver() = default;

}  // namespace mox
