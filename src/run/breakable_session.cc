#include "run/breakable_session.h"

#include <chrono>
#include <functional>
#include <thread>

namespace mox {

namespace tf = tensorflow;

void SessionBreaker::break_off(const std::string& why) {
  const MutexLock lock(mutex_);
  if (!why_) why_ = why;
  changed_.notify_all();
}

void SessionBreaker::clear() {
  const MutexLock lock(mutex_);
  why_.reset();
}

bool SessionBreaker::is_broken() const {
  const MutexLock lock(mutex_);
  return why_.has_value();
}

// Each call runs in a thread of its own, 20 µs where the quickest step on a server takes 80: a call that is broken off
// leaves it behind.
class BreakableSession : public tf::Session {
 public:
  BreakableSession(std::unique_ptr<tf::Session> session, std::shared_ptr<SessionBreaker> breaker)
      : session_(std::move(session)), breaker_(std::move(breaker)) {}
  ~BreakableSession() override {
    // The last of what was left behind destroys the session; here nobody waits for it.
    std::thread([session = std::move(session_)] {}).detach();
  }

  using Inputs = std::vector<std::pair<std::string, tf::Tensor>>;
  using Names = std::vector<std::string>;
  using Tensors = std::vector<tf::Tensor>;

  absl::Status Create(const tf::GraphDef& graph) override {
    auto copy = std::make_shared<tf::GraphDef>(graph);
    return call([copy](tf::Session& s, Results*) { return s.Create(std::move(*copy)); });
  }
  absl::Status Extend(const tf::GraphDef& graph) override {
    auto copy = std::make_shared<tf::GraphDef>(graph);
    return call([copy](tf::Session& s, Results*) { return s.Extend(*copy); });
  }
  absl::Status Run(const Inputs& inputs, const Names& outputs, const Names& targets, Tensors* fetched) override {
    return Run(tf::RunOptions(), inputs, outputs, targets, fetched, nullptr);
  }
  absl::Status Run(const tf::RunOptions& options, const Inputs& inputs, const Names& outputs, const Names& targets,
                   Tensors* fetched, tf::RunMetadata* metadata) override {
    auto results = std::make_shared<Results>();
    const absl::Status status = call(
        [=](tf::Session& s, Results* r) { return s.Run(options, inputs, outputs, targets, &r->tensors, &r->metadata); },
        results);
    if (status.ok() && fetched) *fetched = std::move(results->tensors);
    if (status.ok() && metadata) metadata->Swap(&results->metadata);
    return status;
  }
  absl::Status ListDevices(std::vector<tf::DeviceAttributes>* devices) override {
    auto results = std::make_shared<Results>();
    const absl::Status status = call([](tf::Session& s, Results* r) { return s.ListDevices(&r->devices); }, results);
    if (status.ok()) *devices = std::move(results->devices);
    return status;
  }
  // A process that is cut off would be waited for: after a while it is left to itself.
  absl::Status Close() override {
    auto results = std::make_shared<Results>();
    begin(results, [](tf::Session& s, Results*) { return s.Close(); });
    MutexLock lock(breaker_->mutex_);
    breaker_->changed_.wait_for(lock, std::chrono::seconds(2), [&] { return results->done; });
    closed_ = true;
    breaker_->changed_.notify_all();
    return absl::OkStatus();
  }
  absl::Status MakeCallable(const tf::CallableOptions& options, CallableHandle* handle) override {
    auto results = std::make_shared<Results>();
    const absl::Status status =
        call([options](tf::Session& s, Results* r) { return s.MakeCallable(options, &r->handle); }, results);
    *handle = results->handle;
    return status;
  }
  absl::Status RunCallable(CallableHandle handle, const Tensors& fed, Tensors* fetched,
                           tf::RunMetadata* metadata) override {
    auto results = std::make_shared<Results>();
    const absl::Status status = call(
        [=](tf::Session& s, Results* r) { return s.RunCallable(handle, fed, &r->tensors, &r->metadata); }, results);
    if (status.ok() && fetched) *fetched = std::move(results->tensors);
    if (status.ok() && metadata) metadata->Swap(&results->metadata);
    return status;
  }
  absl::Status ReleaseCallable(CallableHandle handle) override {
    return call([=](tf::Session& s, Results*) { return s.ReleaseCallable(handle); });
  }

 private:
  struct Results {
    // By the breaker's mutex.
    bool done = false;
    absl::Status status;
    // The caller's once it is done.
    Tensors tensors;
    tf::RunMetadata metadata;
    std::vector<tf::DeviceAttributes> devices;
    CallableHandle handle = 0;
  };
  using Work = std::function<absl::Status(tf::Session&, Results*)>;

  void begin(const std::shared_ptr<Results>& results, Work work) {
    std::thread([session = session_, breaker = breaker_, results, work = std::move(work)] {
      const absl::Status status = work(*session, results.get());
      const MutexLock lock(breaker->mutex_);
      results->done = true;
      results->status = status;
      breaker->changed_.notify_all();
    }).detach();
  }

  absl::Status call(Work work, const std::shared_ptr<Results>& results = std::make_shared<Results>()) {
    {
      const MutexLock lock(breaker_->mutex_);
      if (breaker_->why_) return absl::AbortedError(*breaker_->why_);
    }
    begin(results, std::move(work));
    MutexLock lock(breaker_->mutex_);
    while (!results->done && !breaker_->why_ && !closed_) breaker_->changed_.wait(lock);
    if (results->done) return results->status;
    return absl::AbortedError(breaker_->why_.value_or("the session was closed"));
  }

  std::shared_ptr<tf::Session> session_;  // not const: the destructor hands it on
  const std::shared_ptr<SessionBreaker> breaker_;
  bool closed_ = false;  // by the breaker's mutex
};

std::unique_ptr<tf::Session> make_breakable(std::unique_ptr<tf::Session> session,
                                            std::shared_ptr<SessionBreaker> breaker) {
  return std::make_unique<BreakableSession>(std::move(session), std::move(breaker));
}

}  // namespace mox
