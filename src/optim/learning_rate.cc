#include <cmath>

#include "moxing/error.h"
#include "moxing/optimizer.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

LearningRate::LearningRate(Schedule schedule) : schedule_(std::move(schedule)) {
  if (!schedule_)
    throw InvalidArgumentError("learning rate: the schedule is an empty function; pass a number or a tensor");
}

LearningRate::Schedule LearningRate::constant(float value) {
  if (!(value >= 0) || std::isinf(value))
    throw InvalidArgumentError("learning rate: got " + std::to_string(value) + ", expected a finite number, 0 or more");
  return [value](const Scope& scope) -> tf::Output { return ops::Const(scope.WithOpName("learning_rate"), value); };
}

LearningRate::Schedule LearningRate::existing(const tf::Output& tensor) {
  return [tensor](const Scope&) { return tensor; };
}

tf::Output LearningRate::build(const Scope& scope) const {
  const tf::Output rate = schedule_(scope);
  check(scope, "building the learning rate");
  if (rate.node() == nullptr) throw InvalidArgumentError("learning rate: the schedule returned no tensor");
  if (!tf::DataTypeIsFloating(rate.type()))
    throw InvalidArgumentError("learning rate: tensor " + rate.name() + " has type " + tf::DataTypeString(rate.type()) +
                               ", expected a float scalar; cast it");
  if (!static_shape(scope, rate).empty())
    throw InvalidArgumentError("learning rate: tensor " + rate.name() + " is not a scalar; reduce it to one number");
  return rate.type() == tf::DT_FLOAT ? rate : tf::Output(ops::Cast(scope, rate, tf::DT_FLOAT));
}

}  // namespace mox
