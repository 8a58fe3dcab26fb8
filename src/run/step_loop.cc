#include "run/step_loop.h"

#include <fmt/format.h>

#include <chrono>

#include "cluster/socket.h"
#include "graph/added_work.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/past_end.h"
#include "run/signals.h"
#include "run/tensor_values.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// TensorFlow names the operations that failed. Where the input did, no update of that step was computed.
bool is_from_input(const std::string& error) { return error.find("input/get_next_") != std::string::npos; }

// A kind of step that did more than was wanted so often is worth one of its own.
constexpr int64_t kBorrowed = 1000;

// Of the same devices and variant, where each observer wants the same or is asked for more than it wants.
bool includes(const std::vector<int64_t>& large, const std::vector<int64_t>& small) {
  for (size_t i = 0; i < large.size(); ++i) {
    const bool is_observer = i > 0 && i + 1 < large.size();
    if (large[i] != small[i] && !(is_observer && small[i] == 0)) return false;
  }
  return true;
}

}  // namespace

StepLoop::StepLoop(const BuiltGraph& graph, EngineSession& session, StepWatch& watch, StepLoopOptions options,
                   StepObservers observers)
    : graph_(graph),
      session_(session),
      watch_(watch),
      options_(options),
      observers_(std::move(observers)),
      limit_(options.limit),
      done_(options.done),
      wants_(observers_.size() + 2) {
  if (options_.inputs_one_by_one) inputs_.emplace(graph, session);
  if (graph.variants.size() > 1) trial_.emplace(graph, session, options_.peers, options_.limit, options_.samples);
  number_.global = options_.global_step;
}

StepLoop::~StepLoop() = default;

void StepLoop::ask() {
  wants_[0] = graph_.towers.size();
  for (size_t i = 0; i < observers_.size(); ++i) wants_[i + 1] = observers_[i]->wants(number_);
  wants_.back() = static_cast<int64_t>(session_.variant());
}

StepLoop::Step StepLoop::plan() const {
  Step step;
  StepRequest& request = step.request;
  request.towers = wants_[0];
  request.targets = graph_.train_ops;
  request.targets.insert(request.targets.end(), session_.variant_targets().begin(), session_.variant_targets().end());
  if (!session_.step_count().empty()) request.fetches.push_back(session_.step_count());
  for (size_t i = 0; i < observers_.size(); ++i) {
    const size_t first = request.fetches.size(), feeds = request.feeds.size();
    if (wants_[i + 1] != 0) observers_[i]->request(wants_[i + 1], &request);
    step.fetched.emplace_back(first, request.fetches.size() - first);
    if (request.feeds.size() > feeds) step.feeders.push_back(observers_[i].get());
  }
  if (inputs_) {
    const std::vector<std::string> inputs = inputs_->feeds(request.towers);
    request.feeds.insert(request.feeds.end(), inputs.begin(), inputs.end());
  }
  return step;
}

std::shared_ptr<const StepLoop::Step> StepLoop::prepare() const {
  auto step = std::make_shared<Step>(plan());
  const StepRequest& request = step->request;
  if (!request.trace) step->run = session_.prepare(request.fetches, request.targets, request.feeds);
  return step;
}

// TensorFlow takes as long to prepare a step that fetches less as it took for the first one, which logs and summarizes.
std::shared_ptr<const StepLoop::Step> StepLoop::borrow() const {
  std::optional<StepRequest> wanted;
  for (const auto& [wants, kept] : steps_) {
    if (kept.borrowed > 0 || !includes(wants, wants_)) continue;
    if (!wanted) wanted = plan().request;
    const StepRequest& large = kept.step->request;
    if (large.trace || large.feeds != wanted->feeds || large.targets != wanted->targets) continue;
    std::vector<std::string> computed = wanted->fetches;
    computed.insert(computed.end(), wanted->targets.begin(), wanted->targets.end());
    if (adds_little(graph_.graph, computed, large.fetches)) return kept.step;
  }
  return nullptr;
}

const StepLoop::Step& StepLoop::prepared() {
  if (!last_ || last_->first != wants_) {
    auto found = steps_.find(wants_);
    if (found == steps_.end()) {
      const auto borrowed = borrow();
      found = steps_.emplace(wants_, borrowed ? Kept{borrowed, kBorrowed + 1} : Kept{prepare()}).first;
    }
    last_ = &*found;
  }
  Kept& kept = last_->second;
  if (kept.borrowed > 0 && --kept.borrowed == 0) kept.step = prepare();
  return *kept.step;
}

void StepLoop::prepare_first() {
  for (const auto& observer : observers_)
    if (!observer->plans_ahead()) return;
  if (inputs_ || options_.done) return;
  ask();
  try {
    prepared();
  } catch (const RunError&) {  // the first step tries again, and waits for those that are lost
    if (!options_.peers) throw;
  }
}

const std::vector<tf::Tensor>& StepLoop::fed(const Step& step) {
  fed_.clear();
  for (StepObserver* observer : step.feeders) observer->feed(&fed_);
  if (inputs_) fed_.insert(fed_.end(), inputs_->fed().begin(), inputs_->fed().end());
  return fed_;
}

std::vector<tf::Tensor> StepLoop::run_step(const Step& step) {
  const StepWatch::Running running(watch_);
  try {
    if (!step.request.trace) return session_.run(step.run, fed(step));
    Feeds feeds;
    for (const tf::Tensor& value : fed(step)) feeds.emplace_back(step.request.feeds[feeds.size()], value);
    return session_.run_traced(feeds, step.request.fetches, step.request.targets, &stats_);
  } catch (const RunError& e) {
    if (watch_.broke_off()) throw;
    sound_ = is_from_input(e.what());
    throw RunError(fmt::format("step {} (global step {}) failed: {}", number_.local, number_.global, e.what()));
  }
}

void StepLoop::tell(const Step& step, const std::vector<tf::Tensor>& fetched) {
  StepResult result;
  result.global_after = number_.global;
  if (!session_.step_count().empty()) {
    result.global_after = fetched[0].scalar<int64_t>()();
    number_.global = result.global_after - 1;
  }
  result.number = number_;
  result.towers = step.request.towers;
  result.stats = step.request.trace ? &stats_ : nullptr;
  result.stop = &stop_;
  const auto show = [&](size_t i) -> const StepResult& {
    result.wanted = wants_[i + 1];
    const auto [first, count] = step.fetched[i];
    result.fetched = {fetched.data() + first, result.wanted == 0 ? 0 : count};  // the step may do more than is wanted
    return result;
  };
  for (size_t i = 0; i < observers_.size(); ++i) observers_[i]->check_step(show(i));
  ++number_.local;
  number_.global = result.global_after;
  sound_ = true;
  for (size_t i = 0; i < observers_.size(); ++i) observers_[i]->after_step(show(i));
}

bool StepLoop::recover() {
  if (!options_.peers->recover(&number_)) return false;
  take_lost_steps();
  return true;
}

void StepLoop::take_lost_steps() {
  if (number_.local >= 0) return;
  if (limit_ > 0 || done_) limit_ -= number_.local;
  done_ = false;
  number_.local = 0;
}

void StepLoop::recover_or_throw() {
  if (!options_.peers || watch_.broke_off()) throw;
  if (!recover()) throw;
  if (trial_) trial_->restart(steps_left());
}

bool StepLoop::choose_variant() {
  if (!trial_) return true;
  try {
    trial_->before_step();
    return true;
  } catch (const RunError&) {
    recover_or_throw();
    return false;
  }
}

bool StepLoop::step() {
  if (!choose_variant()) return false;
  const Step* step = nullptr;
  std::vector<tf::Tensor> fetched;
  std::chrono::steady_clock::time_point start;
  try {
    ask();
    if (inputs_) {
      const StepWatch::Running running(watch_);
      wants_[0] = inputs_->next();
    }
    step = &prepared();
    sound_ = false;
    start = std::chrono::steady_clock::now();
    fetched = run_step(*step);
  } catch (const RunError&) {
    if (!options_.peers || watch_.broke_off()) throw;
    const bool sound_after_own_error = sound_;
    sound_ = true;  // a step that another process broke off has changed nothing
    if (!recover()) {
      sound_ = sound_after_own_error;
      throw;
    }
    if (trial_) trial_->restart(steps_left());
    return false;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  if (trial_) trial_->after_step(step->request.trace ? std::nullopt : std::optional(passed.count()));
  fed_.clear();  // a batch need not live until the next one is there
  try {
    tell(*step, fetched);
  } catch (const RunError&) {  // observers read variables, which may be another process's
    recover_or_throw();
  }
  return true;
}

std::optional<Ending::How> StepLoop::end_before_step() {
  const bool signalled = SignalGuard::received() != 0;
  StepPeers* const peers = options_.peers;
  if (!peers) {
    if (signalled) return Ending::kInterrupted;
    return stop_ ? std::optional(Ending::kFinished) : std::nullopt;
  }
  if (signalled) peers->ask_to_stop(Ending::kInterrupted);
  if (stop_) peers->ask_to_stop(Ending::kFinished);
  return peers->agreed_end();
}

void StepLoop::begin() {
  for (;;) {
    try {
      for (const auto& observer : observers_) observer->begin(number_);
      return;
    } catch (const RunError&) {  // hooks read variables, which may be another process's
      if (!options_.peers || watch_.broke_off() || !recover()) throw;
    }
  }
}

Ending::How StepLoop::run_until_end() {
  begin();
  while (!limit_reached()) {
    if (const auto how = end_before_step()) return *how;
    while (!step() && !limit_reached()) {
    }
  }
  return Ending::kFinished;
}

void StepLoop::on_end_of_input() {
  sound_ = true;  // nothing of that step was applied: it needs the input
  if (number_.local > 0) {
    log_info(fmt::format("the input ended after {} steps", number_.local));
    return;
  }
  if (!options_.resumed)
    throw DataError(
        "the input ended before the first step: it has " +
        (options_.batch_size == 0
             ? std::string("no batch")
             : fmt::format("fewer samples than a batch (batch_size {}), or none at all", options_.batch_size)));
  log_info(
      "nothing to train: the input was read to its end before; give it more epochs, or use another log_dir to "
      "start anew");
}

Ending::How StepLoop::run_steps() {
  try {
    return run_until_end();
  } catch (const EndOfInput&) {
    on_end_of_input();
    return Ending::kInputEnded;
  } catch (const PeersInputEnded& e) {
    log_info(fmt::format("{}: the training ends after {} steps", e.why, number_.local));
    return Ending::kInputEnded;
  } catch (const cluster::Interrupted&) {
    return Ending::kInterrupted;  // while it waited for the others
  } catch (const InputEndedInHook&) {
    log_info(fmt::format("the input of a hook ended after {} steps", number_.local));
    return Ending::kInputEnded;
  } catch (const OutOfRangeError& e) {
    throw RunError(std::string("a hook read past an end that is not the input's: ") + e.what());
  } catch (const RunError&) {
    if (!watch_.broke_off()) throw;
    return Ending::kInterrupted;
  }
}

Ending StepLoop::ending(Ending::How how) const {
  const bool sound = how == Ending::kFailed ? sound_ : !watch_.broke_off();
  return {how, sound, number_.local, number_.global};
}

void StepLoop::end(Ending::How how, RunResult* result) {
  for (const auto& observer : observers_) {
    if (how == Ending::kFailed || watch_.broke_off()) watch_.stop();  // also when a hook's end() was broken off
    observer->end(ending(how));
  }
  if (how == Ending::kFailed) return;
  for (const auto& observer : observers_) observer->report(ending(how), result);
}

// False: another process was lost with what was done, and there are steps again.
bool StepLoop::ends(Ending::How how, RunResult* result) {
  try {
    if (options_.peers && !options_.peers->before_end(&number_)) return false;
  } catch (const cluster::Interrupted&) {
    how = Ending::kInterrupted;  // while it waited for the others
  } catch (const PeersInputEnded&) {
    how = Ending::kInputEnded;
  }
  result->interrupted = how == Ending::kInterrupted;
  result->steps = number_.local;
  result->global_step = number_.global;
  try {
    end(how, result);
    return true;
  } catch (const RunError&) {  // observers read variables, which may be another process's
    if (!options_.peers || result->interrupted || watch_.broke_off() || !options_.peers->recover_at_end(&number_))
      throw;
    return false;
  }
}

RunResult StepLoop::run() {
  RunResult result;
  if (options_.limit > 0) log_info(fmt::format("Running will end at step: {}", options_.first + options_.limit));
  try {
    while (!ends(run_steps(), &result)) take_lost_steps();
  } catch (...) {
    end(Ending::kFailed, &result);
    throw;
  }
  return result;
}

}  // namespace mox
