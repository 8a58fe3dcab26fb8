#include "run/observers/loss_check.h"

#include <fmt/format.h>

#include <cmath>

#include "moxing/error.h"
#include "run/observers/checkpoint_observer.h"
#include "run/tensor_values.h"

namespace mox {

void LossCheck::request(int64_t, StepRequest* request) const {
  for (const TowerInfo& tower : graph_.towers)
    request->fetches.insert(request->fetches.end(), tower.losses.begin(), tower.losses.end());
}

void LossCheck::check_step(const StepResult& result) {
  auto next = result.fetched.begin();
  for (const TowerInfo& tower : graph_.towers) {
    for (const std::string& loss : tower.losses) {
      const double value = scalar_value(*next++, loss);
      if (!std::isfinite(value)) stop(value, loss, result.number);
    }
  }
}

void LossCheck::stop(double value, const std::string& loss, const StepNumber& number) const {
  if (writer_) writer_->wait();
  check_saved(writer_);  // a save of the step before may know which variable it began with
  throw RunError(
      fmt::format("the loss is {} at step {} (global step {}), tensor {}: training stops; {}. Try a smaller "
                  "learning rate, or look at the input of that step",
                  value, number.local, number.global, loss, last_checkpoint(writer_, another_saves_)));
}

}  // namespace mox
