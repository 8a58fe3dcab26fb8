// The usual schedules by their names: each is a strategy that piecewise_lr takes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/registry.h"
#include "moxing/error.h"
#include "moxing/learning_rate_scheduler.h"

namespace mox::learning_rate_scheduler {

namespace {

constexpr double kMostEpochs = 1e12, kHighestRate = 1e30;
constexpr double kExponentialEnd = 0.01;  // of learning_rate

[[noreturn]] void fail(const char* field, double got, const std::string& expected) {
  throw InvalidArgumentError(fmt::format("schedule_strategy: {} is {:g}, expected {}", field, got, expected));
}

double end_rate(const ScheduleOptions& o) {
  if (o.end_learning_rate >= 0) return o.end_learning_rate;
  return o.schedule == "exponential" ? o.learning_rate * kExponentialEnd : 0;
}

void check_decay(const ScheduleOptions& o) {
  if (!(o.decay_factor > 0 && o.decay_factor < 1)) fail("decay_factor", o.decay_factor, "a number between 0 and 1");
  double before = o.warmup_epochs;
  for (const double epoch : o.decay_epochs) {
    if (!(epoch > before && epoch < o.num_epochs))
      fail("decay_epochs", epoch,
           fmt::format("epochs that rise, above {:g} and below num_epochs ({:g})", before, o.num_epochs));
    before = epoch;
  }
}

void validate(const ScheduleOptions& o) {
  const std::vector<std::string> names = schedule_names();
  if (std::find(names.begin(), names.end(), o.schedule) == names.end())
    throw InvalidArgumentError("there is no schedule '" + o.schedule + "'; there are: " + listed(names));
  if (!(o.learning_rate > 0 && o.learning_rate <= kHighestRate))
    fail("learning_rate", o.learning_rate, "a number above 0");
  check_number("schedule_strategy: num_epochs", o.num_epochs, 0, kMostEpochs);
  check_number("schedule_strategy: warmup_epochs", o.warmup_epochs, 0, kMostEpochs);
  const bool ends = o.schedule != "constant";
  if (ends && o.num_epochs == 0)
    throw InvalidArgumentError("the schedule " + o.schedule + " needs to know the end of the training: num_epochs");
  if (o.num_epochs > 0 && o.warmup_epochs >= o.num_epochs)
    fail("warmup_epochs", o.warmup_epochs, fmt::format("less than num_epochs ({:g})", o.num_epochs));
  if (o.end_learning_rate > o.learning_rate)
    fail("end_learning_rate", o.end_learning_rate, fmt::format("at most learning_rate ({:g})", o.learning_rate));
  if (o.schedule == "exponential" && end_rate(o) == 0)
    fail("end_learning_rate", 0, "a number above 0 for exponential, which never gets to 0");
  if (o.schedule == "piecewise") check_decay(o);
}

// Reads back to the same number.
std::string exact(double value) { return fmt::format("{}", value); }

std::vector<double> decay_epochs(const ScheduleOptions& o) {
  if (!o.decay_epochs.empty()) return o.decay_epochs;
  std::vector<double> epochs;
  for (const double part : {1.0 / 3, 2.0 / 3, 8.0 / 9})
    if (part * o.num_epochs > o.warmup_epochs) epochs.push_back(part * o.num_epochs);
  return epochs;
}

// "30:0.1,60:0.01,90:0.001"
std::string stairs(const ScheduleOptions& o) {
  std::string text;
  double rate = o.learning_rate;
  for (const double epoch : decay_epochs(o)) {
    text += exact(epoch) + ":" + exact(rate) + ",";
    rate *= o.decay_factor;
  }
  return text + exact(o.num_epochs) + ":" + exact(rate);
}

}  // namespace

std::vector<std::string> schedule_names() { return {"constant", "cosine", "exponential", "linear", "piecewise"}; }

std::string schedule_strategy(const ScheduleOptions& options) {
  validate(options);
  const std::string rate = exact(options.learning_rate);
  const std::string warmup =
      options.warmup_epochs > 0 ? exact(options.warmup_epochs) + ":0->" + rate + "," : std::string();
  if (options.schedule == "piecewise") return warmup + stairs(options);
  // The last value holds for ever: of a constant rate any end will do.
  const double end = options.num_epochs > 0 ? options.num_epochs : options.warmup_epochs + 1;
  const std::string arrow = options.schedule == "cosine" ? "~>" : options.schedule == "linear" ? "->" : "=>";
  const std::string value = options.schedule == "constant" ? rate : rate + arrow + exact(end_rate(options));
  return warmup + exact(end) + ":" + value;
}

}  // namespace mox::learning_rate_scheduler
