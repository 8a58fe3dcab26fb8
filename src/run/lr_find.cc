#include "moxing/lr_find.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "base/limits.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/learning_rate_scheduler.h"
#include "moxing/log.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

constexpr double kKept = 0.9;    // of the moving mean, a step
constexpr double kDiverged = 4;  // times the least smoothed loss
constexpr char kLoss[] = "lr_find_loss";

// How the test ends before its last step.
class Diverged : public std::exception {};

// The moving mean of losses, without its bias towards the 0 that it begins with.
class Smoother {
 public:
  double add(double loss) {
    mean_ = kKept * mean_ + (1 - kKept) * loss;
    weight_ *= kKept;
    return mean_ / (1 - weight_);
  }

 private:
  double mean_ = 0, weight_ = 1;
};

void check_options(const RunOptions& options, const LrFindOptions& find) {
  check_number("lr_find: lowest", find.lowest, 1e-30, 1e30);
  check_number("lr_find: highest", find.highest, find.lowest, 1e30, "above the lowest");
  check_integer("lr_find: steps", find.steps, 10, 10'000);
  if (find.lowest == find.highest) throw InvalidArgumentError("lr_find: lowest and highest are the same rate");
  if (num_workers() > 1) throw InvalidArgumentError("lr_find runs in one process: leave the flags of the cluster out");
  if (!options.model_fn) throw InvalidArgumentError("lr_find: model_fn is needed");
}

RunOptions test_of(RunOptions options, int64_t steps) {
  options.run_mode = ModeKeys::TRAIN;
  options.inter_mode.reset();
  options.log_dir.clear();
  options.export_model.clear();
  options.keep_best.clear();
  options.model_ema = 0;
  options.use_ema = false;
  options.trace_step = -1;
  options.fetch_strategy_fn = nullptr;
  options.begin_fn = nullptr;
  options.log_every_n_steps = 0;
  options.output_every_n_steps = 1;
  options.max_number_of_steps = steps;
  return options;
}

ModelFn with_loss(const ModelFn& model_fn) {
  return [model_fn](const Scope& s, const std::vector<tensorflow::Output>& inputs, ModeKeys mode) {
    ModelSpec spec = model_fn(s, inputs, mode);
    if (spec.loss.all().size() != 1)
      throw InvalidArgumentError(
          fmt::format("lr_find takes a model of one loss, this one has {}", spec.loss.all().size()));
    const tensorflow::Output loss = spec.loss.all().front();
    spec.output_info = {{kLoss, tensorflow::ops::Cast(s, loss, tensorflow::DT_DOUBLE)}};
    spec.hooks.clear();
    return spec;
  };
}

double mean_loss(const std::vector<OutputDict>& outputs) {
  double sum = 0;
  for (const OutputDict& output : outputs) sum += output.at(kLoss).scalar<double>()();
  return sum / static_cast<double>(outputs.size());
}

// [first, last] of the longest row, not necessarily without gaps, in which values fall.
std::pair<size_t, size_t> longest_fall(const std::vector<LrFindPoint>& points, size_t count) {
  std::vector<size_t> length(count, 1), from(count);
  size_t best = 0;
  for (size_t i = 0; i < count; ++i) {
    from[i] = i;
    for (size_t j = 0; j < i; ++j)
      if (points[j].smoothed > points[i].smoothed && length[j] + 1 > length[i]) {
        length[i] = length[j] + 1;
        from[i] = from[j];
      }
    if (length[i] > length[best]) best = i;
  }
  return {from[best], best};
}

}  // namespace

LrFindResult judge_learning_rates(const std::vector<double>& rates, const std::vector<double>& losses) {
  LrFindResult result;
  Smoother smoother;
  size_t least = 0;
  for (size_t i = 0; i < std::min(rates.size(), losses.size()) && std::isfinite(losses[i]); ++i) {
    result.points.push_back({rates[i], losses[i], smoother.add(losses[i])});
    if (result.points[i].smoothed < result.points[least].smoothed) least = i;
  }
  if (result.points.empty()) return result;
  const auto [first, last] = longest_fall(result.points, least + 1);
  if (last > first)
    result.suggestion = std::sqrt(result.points[first].learning_rate * result.points[last].learning_rate);
  return result;
}

LrFindResult lr_find(const RunOptions& options,
                     const std::function<OptimizerFn(const LearningRate& rate)>& make_optimizer,
                     const LrFindOptions& find) {
  check_options(options, find);
  RunOptions test = test_of(options, find.steps);
  const std::string rise = fmt::format("1:{}=>{}", find.lowest, find.highest);
  test.optimizer_fn = make_optimizer(learning_rate_scheduler::piecewise_lr(rise, find.steps, 1));
  test.model_fn = with_loss(options.model_fn);
  const auto curve = learning_rate_scheduler::parse_lr_strategy(rise);
  std::vector<double> rates, losses;
  Smoother smoother;
  double least = std::numeric_limits<double>::infinity();
  test.output_fn = [&](const std::vector<OutputDict>& outputs) {
    rates.push_back(learning_rate_scheduler::piecewise_lr_at(
        curve, static_cast<double>(rates.size()) / static_cast<double>(find.steps)));
    losses.push_back(mean_loss(outputs));
    const double smoothed = smoother.add(losses.back());
    least = std::min(least, smoothed);
    if (smoothed > kDiverged * std::abs(least)) throw Diverged();
  };
  try {
    run(test);
  } catch (const Diverged&) {
    log_info(fmt::format("lr_find: the loss grew too large at a learning rate of {:.3g}", rates.back()));
  } catch (const RunError& e) {
    // A loss that is no number ends a training, and this test as any other.
    if (std::string(e.what()).rfind("the loss is", 0) != 0 || rates.empty()) throw;
    log_info(fmt::format("lr_find: the loss is no number after a learning rate of {:.3g}", rates.back()));
  }
  return judge_learning_rates(rates, losses);
}

}  // namespace mox
