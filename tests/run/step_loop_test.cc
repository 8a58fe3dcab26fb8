// The loop over steps: who is asked and told what, in which order; and whose count the global step is.
#include "run/step_loop.h"

#include <filesystem>

#include "exchange/local_exchange.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;
using Events = std::vector<std::string>;

// Notes what it is told. `fail_in`: the phase in which it throws.
class Recorder : public StepObserver {
 public:
  Recorder(std::string name, Events* events, std::string fail_in = "")
      : name_(std::move(name)), events_(events), fail_in_(std::move(fail_in)) {}

  void begin(const StepNumber&) override { note("begin"); }
  int64_t wants(const StepNumber& number) override {
    note("wants");
    return number.local % 2;
  }
  void request(int64_t, StepRequest* request) const override {
    request->fetches.push_back("test/read:0");
    ++requests;
  }
  void check_step(const StepResult& result) override {
    note("check");
    EXPECT_EQ(result.fetched.size(), static_cast<size_t>(result.number.local % 2));
    EXPECT_EQ(result.wanted, result.number.local % 2);
    EXPECT_EQ(result.global_after, result.number.global + 1);
  }
  void after_step(const StepResult& result) override {
    note("after");
    if (result.number.local + 1 == stop_after) result.request_stop();
  }
  void end(const Ending& ending) override {
    note(ending.how != Ending::kFailed ? "end" : ending.sound ? "failed" : "unsound");
    last = ending;
  }
  void report(const Ending&, RunResult*) override { note("report"); }

  mutable int requests = 0;
  int64_t stop_after = 0;
  Ending last;

 private:
  void note(const std::string& phase) {
    events_->push_back(name_ + " " + phase);
    if (phase == fail_in_) throw RunError("thrown in " + phase);
  }

  const std::string name_;
  Events* const events_;
  const std::string fail_in_;
};

// Runs the toy model under observers of the test.
RunResult run_observed(StepObservers observers, int64_t limit, int64_t samples = 0, StepPeers* peers = nullptr) {
  const RunConfig config{toy_options("", 0, samples)};
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  LocalExchange().join(&graph);
  for (const VariableInfo& variable : graph.variables)
    if (variable.name == graph.global_step) {
      auto* read = graph.graph.add_node();
      read->set_name("test/read");
      read->set_op("ReadVariableOp");
      read->add_input(variable.handle);
      (*read->mutable_attr())["dtype"].set_type(variable.dtype);
    }
  EngineSession session(graph, SessionFactory(config));
  session.initialize({});
  session.start_input();
  StepWatch watch(graph, session, 0);
  StepLoopOptions loop;
  loop.limit = limit;
  loop.batch_size = 8;
  loop.peers = peers;
  return StepLoop(graph, session, watch, loop, std::move(observers)).run();
}

StepObservers two(Events* events, const std::string& fail_in = "") {
  StepObservers observers;
  observers.push_back(std::make_unique<Recorder>("a", events, fail_in));
  observers.push_back(std::make_unique<Recorder>("b", events));
  return observers;
}

TEST(StepLoop, TellsItsObserversInTheirOrder) {
  Events events;
  const RunResult result = run_observed(two(&events), 1);
  EXPECT_EQ(events, (Events{"a begin", "b begin", "a wants", "b wants", "a check", "b check", "a after", "b after",
                            "a end", "b end", "a report", "b report"}));
  EXPECT_EQ(result.steps, 1);
  EXPECT_EQ(result.global_step, 1);
}

TEST(StepLoop, PreparesWhatIsWantedOnce) {
  Events events;
  StepObservers observers = two(&events);
  auto& recorder = static_cast<Recorder&>(*observers[0]);
  recorder.stop_after = 7;
  int requests = 0;
  struct Requests : StepObserver {  // the recorder is gone after the run
    Requests(const Recorder& recorder, int* requests) : recorder_(recorder), requests_(requests) {}
    void end(const Ending&) override { *requests_ = recorder_.requests; }
    const Recorder& recorder_;
    int* requests_;
  };
  observers.push_back(std::make_unique<Requests>(recorder, &requests));
  EXPECT_EQ(run_observed(std::move(observers), 10).steps, 7);  // it asked to stop
  EXPECT_EQ(requests, 1);                                      // of three steps that want something
}

TEST(StepLoop, AnErrorSaysWhetherTheVariablesAreSound) {
  Events events;
  EXPECT_THROW(run_observed(two(&events, "check"), 5), RunError);
  EXPECT_EQ(Events(events.end() - 2, events.end()), (Events{"a unsound", "b unsound"}));
  events.clear();
  EXPECT_THROW(run_observed(two(&events, "after"), 5), RunError);
  EXPECT_EQ(Events(events.end() - 2, events.end()), (Events{"a failed", "b failed"}));
  events.clear();
  EXPECT_THROW(run_observed(two(&events, "report"), 1), RunError);
  EXPECT_EQ(Events(events.end() - 3, events.end()), (Events{"a report", "a failed", "b failed"}));
}

TEST(StepLoop, TheEndOfTheInputEndsSoundly) {
  Events events;
  EXPECT_EQ(run_observed(two(&events), 0, 20).steps, 2);
  EXPECT_EQ(Events(events.end() - 4, events.end()), (Events{"a end", "b end", "a report", "b report"}));
}

// Others, which lose once what five steps had done.
class Forgetful : public StepPeers {
 public:
  void ask_to_stop(Ending::How) override {}
  std::optional<Ending::How> agreed_end() const override { return std::nullopt; }
  bool recover(StepNumber*) override { return false; }
  bool before_end(StepNumber* number) override {
    if (std::exchange(forgot_, true)) return true;
    number->local -= 5;
    return false;
  }
  std::optional<std::string> waits_for() const override { return std::nullopt; }

 private:
  bool forgot_ = false;
};

TEST(StepLoop, WhatIsLostBeyondItsOwnStepsIsDoneTooAndCountedFrom0) {
  struct Numbers : StepObserver {
    explicit Numbers(std::vector<int64_t>* numbers) : numbers_(numbers) {}
    void after_step(const StepResult& result) override { numbers_->push_back(result.number.local); }
    std::vector<int64_t>* numbers_;
  };
  std::vector<int64_t> numbers;
  StepObservers observers;
  observers.push_back(std::make_unique<Numbers>(&numbers));
  Forgetful others;
  EXPECT_EQ(run_observed(std::move(observers), 2, 0, &others).steps, 5);
  EXPECT_EQ(numbers, (std::vector<int64_t>{0, 1, 0, 1, 2, 3, 4}));
}

// Another worker, as far as this one can see: the global step moves without it.
class Jumper : public SessionRunHook {
 public:
  void after_run(SessionRunContext& context, const SessionRunValues&) override {
    if (context.local_step() == 2) context.session().run({Fetch(jump)});
    numbers.push_back(context.global_step());
  }
  std::string jump;
  std::vector<int64_t> numbers;
};

TEST(StepLoop, TheGlobalStepIsTheGraphs) {
  TempDir dir;
  const auto hook = std::make_shared<Jumper>();
  RunOptions options = toy_options(dir.path(), 5);
  options.log_every_n_steps = 1;
  options.save_model_steps = 10;
  options.keep_checkpoint_max = 0;
  options.model_fn = [hook](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    const Scope top = s.without_variable_scope();
    const ops::AssignVariableOp jump(top, get_or_create_global_step(top).handle, ops::Const(top, int64_t{19}));
    hook->jump = Fetch(jump.operation).name();
    spec.hooks = {hook};
    return spec;
  };
  LogCapture log;
  const RunResult result = run(options);
  EXPECT_EQ(result.steps, 5);
  EXPECT_EQ(result.global_step, 21);
  EXPECT_EQ(hook->numbers, (std::vector<int64_t>{0, 1, 2, 3, 20}));  // as the step before left it
  EXPECT_TRUE(log.contains("step: 3(global step: 19)")) << log.all();
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-20.index"))) << "the global step went over a multiple of 10";
  EXPECT_EQ(result.checkpoint, dir.path("model.ckpt-21"));
}

}  // namespace
}  // namespace mox
