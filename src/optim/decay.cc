// Schedules over steps: each formula is a template that runs on double (…_at) and in a graph.
#include <numbers>

#include "moxing/error.h"
#include "moxing/learning_rate_scheduler.h"
#include "optim/curve_number.h"

namespace mox::learning_rate_scheduler {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

[[noreturn]] void fail(const char* schedule, const char* field, double got, const char* expected) {
  throw InvalidArgumentError(std::string(schedule) + ": " + field + " is " + std::to_string(got) + ", expected " +
                             expected);
}

void check_rate(const char* schedule, const char* field, double rate) {
  if (!(rate >= 0) || std::isinf(rate)) fail(schedule, field, rate, "a finite learning rate, 0 or more");
}

void check_steps(const char* schedule, const char* field, int64_t steps) {
  if (steps <= 0) fail(schedule, field, steps, "a number of steps, 1 or more");
}

// Steps from a number that may be a part of the whole.
double warmup_steps(const char* schedule, double warmup, int64_t max_step) {
  if (!(warmup >= 0)) fail(schedule, "warmup", warmup, "a number of steps, or a part of max_step from 0 to below 1");
  const double steps = warmup < 1 ? warmup * max_step : warmup;
  if (steps >= max_step) fail(schedule, "warmup", warmup, "fewer steps than max_step");
  return steps;
}

// `warm` over the warm-up, where there is one.
template <typename Number>
Number with_warmup(const Number& step, double warmup, double from, double to, const Number& after) {
  if (warmup == 0) return after;
  return if_below(step, warmup, step * ((to - from) / warmup) + from, after);
}

template <typename Number>
Number linear_cosine(const LinearCosineDecay& o, const Number& step) {
  const Number t = clamp(step * (1.0 / o.decay_steps), 0, 1);
  const Number line = t * -1.0 + (1 + o.alpha);
  const Number wave = cosine(t * (2 * std::numbers::pi * o.num_periods)) * 0.5 + 0.5;
  return (line * wave + o.beta) * o.learning_rate;
}

template <typename Number>
Number polynomial(const PolynomialDecay& o, const Number& step) {
  const double warmup = warmup_steps("polynomial_decay", o.warmup, o.max_step);
  const double end = o.decay_end <= 1 ? o.decay_end * o.max_step : o.decay_end;
  if (!(end > warmup)) fail("polynomial_decay", "decay_end", o.decay_end, "a step after the warm-up");
  const Number left = clamp((step + -end) * (-1.0 / (end - warmup)), 0, 1);
  return with_warmup(step, warmup, o.min_lr, o.max_lr, power(left, o.power) * (o.max_lr - o.min_lr) + o.min_lr);
}

template <typename Number>
Number half_cosine(const CosineDecay& o, const Number& step) {
  const double warmup = warmup_steps("cosine_decay", o.warmup, o.max_step);
  const Number t = clamp((step + -warmup) * (1.0 / (o.max_step - warmup)), 0, 1);
  const Number curve = (cosine(t * std::numbers::pi) * 0.5 + 0.5) * (o.max_lr - o.min_lr) + o.min_lr;
  return with_warmup(step, warmup, o.warmup_lr, o.max_lr, curve);
}

void validate(const LinearCosineDecay& o) {
  check_rate("linear_cosine_decay", "learning_rate", o.learning_rate);
  check_steps("linear_cosine_decay", "decay_steps", o.decay_steps);
}

void validate(const PolynomialDecay& o) {
  check_rate("polynomial_decay", "max_lr", o.max_lr);
  check_rate("polynomial_decay", "min_lr", o.min_lr);
  check_steps("polynomial_decay", "max_step", o.max_step);
  if (!(o.power > 0)) fail("polynomial_decay", "power", o.power, "a number above 0");
  polynomial(o, 0.0);
}

void validate(const CosineDecay& o) {
  check_rate("cosine_decay", "max_lr", o.max_lr);
  check_rate("cosine_decay", "min_lr", o.min_lr);
  check_rate("cosine_decay", "warmup_lr", o.warmup_lr);
  check_steps("cosine_decay", "max_step", o.max_step);
  half_cosine(o, 0.0);
}

template <typename Options>
using Formula = GraphNumber (*)(const Options&, const GraphNumber&);

template <typename Options>
tf::Output build(const Scope& parent, const char* name, const Options& options, Formula<Options> formula) {
  const Scope scope = parent.with(parent.NewSubScope(name));
  const tf::Output step = options.global_step.node() ? options.global_step : get_or_create_global_step(scope).value;
  const GraphNumber rate = formula(options, {scope, ops::Cast(scope, step, tf::DT_DOUBLE)});
  const tf::Output result = ops::Cast(scope.WithOpName("learning_rate"), rate.tensor, tf::DT_FLOAT);
  check(scope, "building the schedule " + std::string(name));
  return result;
}

}  // namespace

double linear_cosine_decay_at(const LinearCosineDecay& options, double step) {
  validate(options);
  return linear_cosine(options, step);
}

tf::Output linear_cosine_decay(const Scope& scope, const LinearCosineDecay& options) {
  validate(options);
  return build<LinearCosineDecay>(scope, "linear_cosine_decay", options, linear_cosine<GraphNumber>);
}

LearningRate linear_cosine_decay(const LinearCosineDecay& options) {
  validate(options);
  return LearningRate::Schedule([options](const Scope& scope) { return linear_cosine_decay(scope, options); });
}

double polynomial_decay_at(const PolynomialDecay& options, double step) {
  validate(options);
  return polynomial(options, step);
}

tf::Output polynomial_decay(const Scope& scope, const PolynomialDecay& options) {
  validate(options);
  return build<PolynomialDecay>(scope, "polynomial_decay", options, polynomial<GraphNumber>);
}

LearningRate polynomial_decay(const PolynomialDecay& options) {
  validate(options);
  return LearningRate::Schedule([options](const Scope& scope) { return polynomial_decay(scope, options); });
}

double cosine_decay_at(const CosineDecay& options, double step) {
  validate(options);
  return half_cosine(options, step);
}

tf::Output cosine_decay(const Scope& scope, const CosineDecay& options) {
  validate(options);
  return build<CosineDecay>(scope, "cosine_decay", options, half_cosine<GraphNumber>);
}

LearningRate cosine_decay(const CosineDecay& options) {
  validate(options);
  return LearningRate::Schedule([options](const Scope& scope) { return cosine_decay(scope, options); });
}

}  // namespace mox::learning_rate_scheduler
