#include "run/observers/validation_observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "moxing/error.h"
#include "moxing/log.h"
#include "run/learning_rate_factor.h"
#include "run/state_variable.h"

namespace mox {

namespace tf = tensorflow;

namespace {

tf::Tensor to_tensor(const std::vector<double>& numbers) {
  tf::Tensor tensor(tf::DT_DOUBLE, {static_cast<int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.flat<double>().data());
  return tensor;
}

std::vector<double> to_numbers(const tf::Tensor& tensor) {
  const auto values = tensor.flat<double>();
  return {values.data(), values.data() + values.size()};
}

tf::Tensor scalar(float value) {
  tf::Tensor tensor(tf::DT_FLOAT, {});
  tensor.scalar<float>()() = value;
  return tensor;
}

std::string names_of(const std::vector<NamedTensor>& infos) {
  std::string names;
  for (const NamedTensor& info : infos) names += (names.empty() ? "" : ", ") + info.name;
  return names;
}

bool has(const std::vector<NamedTensor>& infos, const std::string& name) {
  return std::any_of(infos.begin(), infos.end(), [&](const NamedTensor& info) { return info.name == name; });
}

double value_of(const Metrics& metrics, const std::string& name) {
  for (const auto& [known, value] : metrics)
    if (known == name) return value;
  return NAN;
}

}  // namespace

std::string monitored_metric(const BuiltGraph& graph, const RunConfig& config) {
  const std::vector<NamedTensor>& known = graph.inter->log_info;
  for (const auto& [option, name] :
       {std::pair("eval_monitor", config.eval_monitor), std::pair("keep_best", config.keep_best)})
    if (!name.empty() && !has(known, name))
      throw InvalidArgumentError(fmt::format(
          "{} is '{}', which is not in model_fn's log_info of mode EVAL; there is: {}", option, name, names_of(known)));
  if (!config.eval_monitor.empty()) return config.eval_monitor;
  if (!config.keep_best.empty()) return config.keep_best;
  return has(known, "loss") ? "loss" : known.front().name;
}

ValidationJudge::Options judge_options(const RunConfig& config, std::string metric) {
  const std::string mode = metric == config.keep_best ? config.keep_best_mode : "auto";
  return {std::move(metric), mode, config.early_stopping_patience, config.plateau_patience};
}

void add_validation_state(BuiltGraph* graph, const RunConfig& config) {
  add_state_variable(graph, kValidationState, to_tensor(std::vector<double>(ValidationJudge::kStateSize)));
  if (config.plateau_patience > 0) add_learning_rate_factor(graph, "plateau_patience");
}

ValidationObserver::ValidationObserver(const RunConfig& config, Parts parts)
    : config_(config),
      parts_(std::move(parts)),
      clock_(config, parts_.graph),
      evaluates_(config.cluster.is_chief()),
      judge_(judge_options(config, evaluates_ ? monitored_metric(parts_.graph, config) : "")),
      validation_(parts_.graph, parts_.session, parts_.watch, config.eval_steps) {
  if (!evaluates_) return;
  if (!parts_.events_dir.empty()) events_ = std::make_unique<SummaryWriter>(parts_.events_dir);
}

ValidationObserver::~ValidationObserver() = default;

void ValidationObserver::begin(const StepNumber& next) {
  step_ = validated_at_ = next.global;
  if (!evaluates_) return;
  judge_.restore(to_numbers(parts_.session.read(kValidationState)));
  if (events_) events_->add_start(next.global + 1);  // what was measured after the step before stays
  if (judge_.best()) log_info(fmt::format("[Validation] before: {}", judge_.text()));
}

bool ValidationObserver::is_due(int64_t before, int64_t after) const {
  if (after == parts_.last_step) return true;
  if (config_.eval_every_n_steps > 0) return before / config_.eval_every_n_steps != after / config_.eval_every_n_steps;
  const int64_t n = config_.eval_every_n_epochs;
  return clock_.whole_epochs(before) / n != clock_.whole_epochs(after) / n;
}

void ValidationObserver::after_step(const StepResult& result) {
  wants_checkpoint_ = false;
  parts_.watch.set_patient(false);
  step_ = result.global_after;
  if (!is_due(result.number.global, result.global_after)) return;
  if (!evaluates_) {
    follow(result.global_after);
    return;
  }
  if (validate(result.global_after)) result.request_stop();
  share(result.global_after);
}

// What goes wrong costs the validation, not the training.
std::optional<Validation::Result> ValidationObserver::measure(int64_t global_step) try {
  return validation_.run(
      [this](int64_t batches) { parts_.log->logger().show_note(fmt::format("validation: {} batches", batches)); });
} catch (const Error& e) {
  if (parts_.watch.broke_off()) throw;
  log_warning(fmt::format("[Validation] {}step: {}\tfailed, the training goes on: {}", epoch_text(global_step),
                          global_step, e.what()));
  return std::nullopt;
}

bool ValidationObserver::validate(int64_t global_step) {
  validated_at_ = global_step;
  checkpoint_value_.reset();
  const auto start = std::chrono::steady_clock::now();
  const std::optional<Validation::Result> result = measure(global_step);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  parts_.log->logger().leave_out(seconds.count());
  if (!result) return false;
  last_ = result->means;
  look_for_best(*result);
  const ValidationJudge::Verdict verdict = judge_.judge(value_of(result->means, judge_.metric()), global_step);
  parts_.session.assign(kValidationState, to_tensor(judge_.state()));
  tell(*result, global_step);
  if (verdict.plateau) lower_learning_rate();
  if (verdict.stop)
    log_info(fmt::format("[EarlyStopping] {} did not gain in {} validations: the training ends at step {}",
                         judge_.metric(), config_.early_stopping_patience, global_step));
  return verdict.stop;
}

void ValidationObserver::tell(const Validation::Result& result, int64_t global_step) {
  std::string line =
      fmt::format("[Validation] {}step: {}\tsamples: {}", epoch_text(global_step), global_step, result.samples);
  for (const auto& [name, value] : result.means) line += fmt::format("\t{}: {:.3f}", name, value);
  line += "\t" + judge_.text();
  Metrics fields;
  if (clock_.knows()) fields.emplace_back("epoch", clock_.epochs(global_step));
  for (const auto& [name, value] : result.means) fields.emplace_back(kValidationPrefix + name, value);
  parts_.log->logger().log_line(line, global_step, fields);
  if (!events_) return;
  events_->add_scalars(global_step, result.means);
  events_->flush();
}

void ValidationObserver::lower_learning_rate() {
  const float factor =
      parts_.session.read(kLearningRateFactor).scalar<float>()() * static_cast<float>(config_.plateau_factor);
  parts_.session.assign(kLearningRateFactor, scalar(factor));
  log_info(fmt::format("[Plateau] {} did not gain in {} validations: the learning rate is multiplied by {} ({} in all)",
                       judge_.metric(), config_.plateau_patience, config_.plateau_factor, factor));
}

void ValidationObserver::look_for_best(const Validation::Result& result) {
  if (!parts_.writer || config_.keep_best.empty()) return;
  checkpoint_value_ = value_of(result.means, config_.keep_best);
  wants_checkpoint_ = parts_.writer->is_best(checkpoint_value_);
}

std::optional<double> ValidationObserver::checkpoint_value() const {
  return validated_at_ == step_ ? checkpoint_value_ : std::nullopt;
}

// What all processes must have alike.
void ValidationObserver::share(int64_t global_step) {
  if (!parts_.cluster) return;
  std::vector<double> values = to_numbers(parts_.session.read(kValidationState));
  if (config_.plateau_patience > 0) values.push_back(parts_.session.read(kLearningRateFactor).scalar<float>()());
  parts_.cluster->from_chief(&values, global_step);
}

void ValidationObserver::follow(int64_t global_step) {
  parts_.watch.set_patient(true);  // the next step waits for the chief
  std::vector<double> values;
  if (!parts_.cluster || !parts_.cluster->from_chief(&values, global_step)) return;
  parts_.watch.set_patient(false);
  const size_t factors = config_.plateau_patience > 0 ? 1 : 0;
  if (values.size() != ValidationJudge::kStateSize + factors)
    throw Error("the chief tells something else than a validation: are all workers of one version?");
  if (factors > 0) {
    parts_.session.assign(kLearningRateFactor, scalar(static_cast<float>(values.back())));
    values.pop_back();
  }
  parts_.session.assign(kValidationState, to_tensor(values));
}

void ValidationObserver::end(const Ending& ending) {
  wants_checkpoint_ = false;
  if (events_) events_->flush();
  const bool done = ending.how == Ending::kFinished || ending.how == Ending::kInputEnded;
  if (!evaluates_ || !done || !ending.sound || ending.steps == 0) return;
  step_ = ending.global_step;
  if (validated_at_ != ending.global_step) validate(ending.global_step);
}

void ValidationObserver::report(const Ending&, RunResult* result) {
  result->validation = last_;
  if (judge_.best()) result->best_validation = BestValidation{judge_.metric(), *judge_.best(), judge_.best_step()};
}

std::string ValidationObserver::epoch_text(int64_t global_step) const {
  return clock_.knows() ? fmt::format("epoch {}, ", epochs_text(clock_.epochs(global_step))) : "";
}

}  // namespace mox
