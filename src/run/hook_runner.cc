#include "run/hook_runner.h"

#include <algorithm>

#include "moxing/error.h"
#include "run/learning_rate_factor.h"
#include "run/past_end.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Adds `tensor` to `sum`, element by element, or divides; false when the type has no mean.
template <typename T>
void add_to(tf::Tensor* sum, const tf::Tensor& tensor, double factor) {
  auto a = sum->flat<T>();
  const auto b = tensor.flat<T>();
  for (int64_t i = 0; i < a.size(); ++i)
    a(i) = static_cast<T>(static_cast<double>(a(i)) + static_cast<double>(b(i)) * factor);
}

// The mean of one fetch over the devices.
tf::Tensor mean_of(const std::vector<tf::Tensor>& devices) {
  const tf::DataType dtype = devices[0].dtype();
  const bool can = tf::DataTypeIsFloating(dtype) && dtype != tf::DT_HALF && dtype != tf::DT_BFLOAT16;
  for (const tf::Tensor& tensor : devices)
    if (!can || tensor.shape() != devices[0].shape() || tensor.dtype() != dtype) return devices[0];
  tf::Tensor mean(dtype, devices[0].shape());
  for (const tf::Tensor& tensor : devices) {
    const double factor = 1.0 / devices.size();
    if (&tensor == &devices[0]) std::memset(mean.data(), 0, mean.TotalBytes());
    dtype == tf::DT_FLOAT ? add_to<float>(&mean, tensor, factor) : add_to<double>(&mean, tensor, factor);
  }
  return mean;
}

}  // namespace

class HookRunner::Session : public HookSession {
 public:
  Session(const BuiltGraph& graph, EngineSession& session, StepWatch& watch)
      : graph_(graph), session_(session), watch_(watch) {}

  std::vector<tf::Tensor> run(const std::vector<Fetch>& fetches, const FeedDict& feed_dict) override {
    std::vector<std::string> feeds;
    std::vector<tf::Tensor> fed;
    for (const auto& [tensor, value] : feed_dict) {
      feeds.push_back(tensor.name());
      fed.push_back(value);
    }
    for (size_t i = 0; i < step_feeds_.size(); ++i) {
      if (std::find(feeds.begin(), feeds.end(), step_feeds_[i]) != feeds.end()) continue;
      feeds.push_back(step_feeds_[i]);
      fed.push_back(step_fed_[i]);
    }
    const EngineSession::Prepared& prepared = prepare(fetches, feeds);
    const StepWatch::Running running(watch_);
    try {
      return session_.run(prepared, fed);
    } catch (const EndOfInput&) {
      throw InputEndedInHook("the input ended while a hook ran a part of the graph");
    } catch (const PastEndOfOther& e) {
      throw PastEndInHook(e.what());
    }
  }

  void restart_input() override {
    if (!graph_.inter)
      throw InvalidArgumentError("a hook restarts the input of inter_mode in a run without inter_mode");
    session_.run_operation(graph_.inter->restart_input, graph_.inter->feeds);
  }

  void multiply_learning_rate(float factor) override {
    if (!has_learning_rate_factor(graph_))
      throw InvalidArgumentError(
          "a hook multiplies the learning rate, which only a run with a PlateauLREarlyStoppingHook is prepared for");
    tf::Tensor value(tf::DT_FLOAT, {});
    value.scalar<float>()() = session_.read(kLearningRateFactor).scalar<float>()() * factor;
    session_.assign(kLearningRateFactor, value);
  }

  int num_devices() const override { return graph_.towers.size(); }

  // Of the step under way.
  std::vector<std::string> step_feeds_;
  std::vector<tf::Tensor> step_fed_;

 private:
  const EngineSession::Prepared& prepare(const std::vector<Fetch>& fetches, const std::vector<std::string>& feeds) {
    std::vector<std::string> tensors, operations, key;
    for (const Fetch& fetch : fetches) (fetch.is_operation() ? operations : tensors).push_back(fetch.name());
    for (const auto* names : std::initializer_list<const std::vector<std::string>*>{&tensors, &operations, &feeds}) {
      key.insert(key.end(), names->begin(), names->end());
      key.emplace_back();
    }
    const auto found = prepared_.find(key);
    if (found != prepared_.end()) return found->second;
    return prepared_[key] = session_.prepare(tensors, operations, feeds);
  }

  const BuiltGraph& graph_;
  EngineSession& session_;
  StepWatch& watch_;
  std::map<std::vector<std::string>, EngineSession::Prepared> prepared_;
};

HookRunner::HookRunner(const BuiltGraph& graph, const std::vector<HookGroup>& groups, EngineSession& session,
                       StepWatch& watch, std::optional<HookState> state)
    : groups_(groups), session_(std::make_unique<Session>(graph, session, watch)), state_(std::move(state)) {}

HookRunner::~HookRunner() = default;

void HookRunner::begin(const StepNumber&) {
  if (state_) state_->restore();
  for (const HookGroup& group : groups_) group[0]->after_create_session(*session_);
}

int64_t HookRunner::wants(const StepNumber& number) {
  additions_ = {};
  fed_.clear();
  contexts_.clear();
  num_results_.assign(groups_.size(), {});
  for (size_t i = 0; i < groups_.size(); ++i) {
    contexts_.emplace_back(*session_, number.local, number.global);
    for (const auto& hook : groups_[i]) add(hook->before_run(contexts_[i]), i);
  }
  session_->step_feeds_ = additions_.feeds;
  session_->step_fed_ = fed_;
  return interned();
}

void HookRunner::add(const SessionRunArgs& args, size_t group) {
  size_t results = 0;
  for (const Fetch& fetch : args.fetches) {
    results += !fetch.is_operation();
    (fetch.is_operation() ? additions_.targets : additions_.fetches).push_back(fetch.name());
  }
  num_results_[group].push_back(results);
  for (const auto& [tensor, value] : args.feed_dict) {
    if (std::find(additions_.feeds.begin(), additions_.feeds.end(), tensor.name()) != additions_.feeds.end())
      throw InvalidArgumentError("two hooks feed the tensor " + tensor.name() + " in the same step");
    additions_.feeds.push_back(tensor.name());
    fed_.push_back(value);
  }
}

// The same number for the same additions, 0 for none.
int64_t HookRunner::interned() {
  if (additions_.fetches.empty() && additions_.targets.empty() && additions_.feeds.empty()) return 0;
  std::vector<std::string> key;
  for (const auto* names : {&additions_.fetches, &additions_.targets, &additions_.feeds}) {
    key.insert(key.end(), names->begin(), names->end());
    key.emplace_back();
  }
  int64_t& id = ids_[key];
  if (id == 0) {
    known_.push_back(additions_);
    id = static_cast<int64_t>(known_.size());
  }
  return id;
}

void HookRunner::request(int64_t wanted, StepRequest* request) const {
  const Additions& additions = known_[wanted - 1];
  const auto append = [](std::vector<std::string>* all, const std::vector<std::string>& more) {
    all->insert(all->end(), more.begin(), more.end());
  };
  append(&request->fetches, additions.fetches);
  append(&request->targets, additions.targets);
  append(&request->feeds, additions.feeds);
}

void HookRunner::feed(std::vector<tf::Tensor>* values) { values->insert(values->end(), fed_.begin(), fed_.end()); }

void HookRunner::after_step(const StepResult& result) {
  auto next = result.fetched.begin();
  for (size_t i = 0; i < groups_.size(); ++i) {
    std::vector<std::vector<tf::Tensor>> devices;
    for (size_t count : num_results_[i]) {
      devices.emplace_back(next, next + count);
      next += count;
    }
    SessionRunValues values{devices[0]};
    const bool alike = std::all_of(devices.begin(), devices.end(),
                                   [&](const auto& results) { return results.size() == devices[0].size(); });
    for (size_t k = 0; devices.size() > 1 && alike && k < values.results.size(); ++k) {
      std::vector<tf::Tensor> each;
      for (const auto& results : devices) each.push_back(results[k]);
      values.results[k] = mean_of(each);
    }
    groups_[i][0]->after_run(contexts_[i], values);
    if (contexts_[i].stop_requested()) result.request_stop();
  }
  if (state_) state_->keep();
}

void HookRunner::end(const Ending& ending) {
  if (ending.how == Ending::kFailed || !ending.sound) return;
  session_->step_feeds_.clear();
  session_->step_fed_.clear();
  for (const HookGroup& group : groups_) group[0]->end(*session_);
}

}  // namespace mox
