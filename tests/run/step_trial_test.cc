// variable_update=auto: what is tried, that it costs no number, and who decides.
#include "run/step_trial.h"

#include "exchange/local_exchange.h"
#include "passes/passes.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

struct Trained {
  std::vector<double> losses;
  std::string log;
};

// The mean loss over two CPU devices, of every step.
Trained train(const std::string& update, int64_t steps, int devices = 2) {
  TempDir dir;
  set_flag("num_gpus", devices);
  set_flag("log_first_clone", false);
  set_flag("variable_update", update);
  Trained trained;
  RunOptions options = toy_options(dir.path(), steps);
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02, {.momentum = 0.9f});
  collect_losses(&options, &trained.losses);
  LogCapture log;
  run(options);
  reset_flags();
  trained.log = log.all();
  return trained;
}

int count(const std::string& text, const std::string& what) {
  int found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

constexpr char kLine[] = "variable_update=auto: ";

TEST(StepTrial, TakesTheFastestAndChangesNoNumber) {
  const int64_t steps = StepTrial::length(2) + 20;
  const Trained tried = train("auto", steps);
  EXPECT_EQ(count(tried.log, kLine), 1) << tried.log;
  EXPECT_NE(tried.log.find("sample/sec: replicated_host "), std::string::npos) << tried.log;
  ASSERT_EQ(static_cast<int64_t>(tried.losses.size()), steps);
  for (const std::string update : {"replicated", "replicated_host"}) {
    const Trained other = train(update, steps);
    EXPECT_EQ(tried.losses, other.losses) << update;
    EXPECT_EQ(count(other.log, kLine), 0);
  }
}

TEST(StepTrial, NothingIsTriedWhereThereIsNoTimeOrNoOtherWay) {
  EXPECT_EQ(count(train("auto", StepTrial::length(2)).log, kLine), 0);
  EXPECT_EQ(count(train("auto", StepTrial::length(2) + 20, 1).log, kLine), 0);
}

// Another process that has other times: what all say counts.
class Peers : public StepPeers {
 public:
  void ask_to_stop(Ending::How) override {}
  std::optional<Ending::How> agreed_end() const override { return std::nullopt; }
  bool recover(StepNumber*) override { return false; }
  std::optional<std::string> waits_for() const override { return std::nullopt; }
  std::optional<std::vector<double>> share_times(const std::vector<double>& mine) override {
    asked.push_back(mine);
    if (asked.size() < 3) return std::nullopt;
    return all;
  }

  std::vector<double> all;
  std::vector<std::vector<double>> asked;
};

TEST(StepTrial, WhatAllMeasureCountsAndATrialBeginsAnewWithThem) {
  RunConfig config{toy_options("", 1)};
  config.num_gpus = 2;
  config.devices = DevicePlan(2, true);
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  LocalExchange(Sums::kTried, config.devices).join(&graph);
  EngineSession session(graph, SessionFactory(config));
  session.initialize({});
  session.start_input();
  Peers peers;
  StepTrial trial(graph, session, &peers, 0, 16);
  const int64_t length = StepTrial::length(2);
  const auto steps = [&](int64_t count, double first, double second) {
    std::vector<int> turns(2);
    for (int64_t i = 0; i < count; ++i) {
      trial.before_step();
      ++turns[session.variant()];
      trial.after_step(session.variant() == 0 ? first : second);
    }
    return turns;
  };
  EXPECT_EQ(steps(10, 5, 5), (std::vector<int>{6, 4}));
  trial.restart(0);  // one was lost, and came back
  EXPECT_EQ(steps(length, 0.1, 0.2), (std::vector<int>{static_cast<int>(length) / 2, static_cast<int>(length) / 2}));
  EXPECT_TRUE(peers.asked.empty());
  peers.all = {0.3, 0.2};  // this one alone would take the first
  LogCapture log;
  EXPECT_EQ(steps(2, 1, 1), (std::vector<int>{2, 0})) << "the others' times are not there yet";
  EXPECT_EQ(steps(5, 1, 1), (std::vector<int>{0, 5}));
  ASSERT_EQ(peers.asked.size(), 3u);
  EXPECT_EQ(peers.asked[0], (std::vector<double>{0.1, 0.2}));
  EXPECT_TRUE(
      log.contains("variable_update=auto: replicated is taken; sample/sec: replicated_host 53.3, replicated 80.0"))
      << log.all();
  trial.restart(length);  // too few steps are left to try again
  EXPECT_EQ(steps(3, 1, 1), (std::vector<int>{3, 0}));
}

// Workers drop other elements; what is drawn after the gradients are joined must be the same for all.
TEST(StatelessRandom, WorkersDrawNumbersOfTheirOwnForTheirLosses) {
  RunConfig config{toy_options("", 1)};
  config.random_seed = 5;
  config.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    return regression_model(s, {layers::dropout(s, inputs[0], 0.5f, true), inputs[1]}, mode);
  };
  const auto step = [&](int64_t worker) {
    std::vector<InputTensor> batch;
    BuiltGraph graph = build_run_graph(config, &batch);
    LocalExchange().join(&graph);
    // Noise on a joined gradient, as an optimizer may add it.
    auto* noise = graph.graph.add_node();
    noise->set_name("noise");
    noise->set_op("RandomStandardNormal");
    noise->add_input("noise/shape");
    (*noise->mutable_attr())["dtype"].set_type(tensorflow::DT_FLOAT);
    (*noise->mutable_attr())["T"].set_type(tensorflow::DT_INT32);
    (*noise->mutable_attr())["seed"].set_i(1);
    (*noise->mutable_attr())["seed2"].set_i(2);
    tensorflow::Tensor shape(tensorflow::DT_INT32, {1});
    shape.vec<int32_t>()(0) = 4;
    auto* constant = graph.graph.add_node();
    constant->set_name("noise/shape");
    constant->set_op("Const");
    (*constant->mutable_attr())["dtype"].set_type(tensorflow::DT_INT32);
    shape.AsProtoTensorContent((*constant->mutable_attr())["value"].mutable_tensor());
    PassContext context;
    context.worker = worker;
    run_passes(&graph, context);
    EngineSession session(graph, SessionFactory(config));
    session.initialize({});
    session.start_input();
    const auto fetched = session.run(session.prepare({graph.towers[0].losses[0], "noise:0"}, {}));
    return std::pair(fetched[0].scalar<float>()(), std::string(fetched[1].tensor_data()));
  };
  const auto first = step(0), second = step(1), again = step(1), third = step(2);
  EXPECT_EQ(second, again);
  EXPECT_NE(first.first, second.first);
  EXPECT_NE(second.first, third.first);
  EXPECT_EQ(first.second, second.second);
}

}  // namespace
}  // namespace mox
