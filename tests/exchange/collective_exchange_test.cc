// Two processes' training graphs, each in a thread of this one, joined by all-reduce over real connections.
#include "exchange/collective_exchange.h"

#include <limits>
#include <thread>

#include "cluster/exchangers.h"
#include "cluster/processes.h"
#include "run/engine_session.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

struct Worker {
  std::string error;
  std::map<std::string, Tensor> before, after;
  std::vector<Tensor> local, joined;  // gradients, before and after the exchange
};

// The toy model, with a batch norm beside it that only keeps averages.
ModelSpec averaging_model(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  ModelSpec spec = regression_model(s, inputs, mode);
  const Output y = ops::Reshape(s, spec.output_info[0].second, {-1, 1});
  layers::batch_norm(s, y, "BatchNorm", {.decay = 0.5f});
  return spec;
}

RunConfig config_of(bool dynamic_loss_scale) {
  RunConfig config{toy_options("", 1)};
  config.model_fn = averaging_model;
  config.dynamic_loss_scale = dynamic_loss_scale;
  return config;
}

// `steps` steps of the toy model as worker `index` of `hosts`. `poison`: its gradients are not finite.
Worker train(int index, const std::vector<std::string>& hosts, int steps, bool dynamic_loss_scale, bool poison,
             bool average_updates = false) {
  Worker worker;
  try {
    cluster::MemberOptions options;
    options.task_index = index;
    options.worker_hosts = hosts;
    options.token = "secret";
    cluster::Member member(options);
    member.form(-1);
    cluster::ExchangerNumber number;
    CollectiveExchange exchange({number.number(), average_updates});
    std::vector<InputTensor> batch;
    const RunConfig config = config_of(dynamic_loss_scale);
    BuiltGraph graph = build_run_graph(config, &batch);
    std::vector<std::string> local, joined;
    for (const GradientSlot& slot : graph.gradients) {
      local.push_back(slot.tower_gradients[0]);
      joined.push_back(slot.slot + ":0");
    }
    connect_gradients(&graph, &exchange, {.dynamic_loss_scale = dynamic_loss_scale});
    cluster::Exchanger exchanger(
        &member, {.first = exchange.first_bucket(), .buckets = exchange.buckets(), .gate = exchange.has_gate()});
    number.set(&exchanger);
    EngineSession session(graph, SessionFactory(config));
    session.initialize({});
    session.start_input();
    if (index == 1) {  // other weights than the first worker's, so that the gradients differ
      const Tensor weights = session.read("w");
      Tensor others(weights.dtype(), weights.shape());
      others.flat<float>().setConstant(poison ? std::numeric_limits<float>::infinity() : 0.5f);
      session.assign("w", others);
    }
    for (auto& [name, value] : session.read_variables()) worker.before[name] = value;
    std::vector<std::string> fetches = local;
    if (!dynamic_loss_scale) fetches.insert(fetches.end(), joined.begin(), joined.end());
    const auto prepared = session.prepare(dynamic_loss_scale ? std::vector<std::string>{} : fetches, graph.train_ops);
    for (int step = 0; step < steps; ++step) {
      std::vector<Tensor> fetched = session.run(prepared);
      if (dynamic_loss_scale) continue;
      worker.local.assign(fetched.begin(), fetched.begin() + local.size());
      worker.joined.assign(fetched.begin() + local.size(), fetched.end());
    }
    for (auto& [name, value] : session.read_variables()) worker.after[name] = value;
    member.leave("");
  } catch (const std::exception& e) {
    worker.error = e.what();
  }
  return worker;
}

std::vector<Worker> train_two(int steps, bool dynamic_loss_scale = false, bool poison_second = false,
                              int steps_of_second = -1) {
  const std::vector<std::string> hosts = cluster::free_addresses(2);
  std::vector<Worker> workers(2);
  std::thread second([&] {
    workers[1] = train(1, hosts, steps_of_second < 0 ? steps : steps_of_second, dynamic_loss_scale, poison_second);
  });
  workers[0] = train(0, hosts, steps, dynamic_loss_scale, false);
  second.join();
  return workers;
}

TEST(CollectiveExchange, EverySlotGetsTheMeanOfBoth) {
  const std::vector<Worker> workers = train_two(3);
  ASSERT_EQ(workers[0].error, "");
  ASSERT_EQ(workers[1].error, "");
  ASSERT_FALSE(workers[0].joined.empty());
  bool differ = false;
  for (size_t i = 0; i < workers[0].joined.size(); ++i) {
    const auto mine = workers[0].local[i].flat<float>(), others = workers[1].local[i].flat<float>();
    const auto a = workers[0].joined[i].flat<float>(), b = workers[1].joined[i].flat<float>();
    for (int64_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(a(k), b(k));
      EXPECT_NEAR(a(k), (mine(k) + others(k)) / 2, 1e-6);
      differ |= mine(k) != others(k);
    }
  }
  EXPECT_TRUE(differ) << "both had the same gradients: nothing was tested";
}

TEST(CollectiveExchange, AStepThatOneSkipsIsSkippedByBoth) {
  for (const bool poison : {false, true}) {
    const std::vector<Worker> workers = train_two(3, true, poison);
    ASSERT_EQ(workers[0].error, "");
    ASSERT_EQ(workers[1].error, "");
    const float before = workers[0].before.at("loss_scale_value").scalar<float>()(),
                after = workers[0].after.at("loss_scale_value").scalar<float>()();
    EXPECT_EQ(after, poison ? before / 8 : before);
    const bool moved = workers[0].before.at("w").flat<float>()(0) != workers[0].after.at("w").flat<float>()(0);
    EXPECT_EQ(moved, !poison);
    EXPECT_EQ(workers[0].after.at("global_step").scalar<int64_t>()(), 3);
  }
}

// Each worker's batches are the same here, its weights are not: so are the activations that are averaged.
TEST(CollectiveExchange, MovingAveragesAreEachWorkersOwnOrThoseOfAll) {
  for (const bool averaged : {false, true}) {
    const std::vector<std::string> hosts = cluster::free_addresses(2);
    std::vector<Worker> workers(2);
    std::thread second([&] { workers[1] = train(1, hosts, 3, false, false, averaged); });
    workers[0] = train(0, hosts, 3, false, false, averaged);
    second.join();
    ASSERT_EQ(workers[0].error, "");
    ASSERT_EQ(workers[1].error, "");
    const float a = workers[0].after.at("BatchNorm/moving_mean").flat<float>()(0),
                b = workers[1].after.at("BatchNorm/moving_mean").flat<float>()(0);
    EXPECT_NE(a, 0);
    EXPECT_EQ(a == b, averaged);
  }
}

// A bucket that is posted in some steps only would be waited for in the others.
TEST(CollectiveExchange, LossesThatAreAppliedInDifferentStepsAreRefused) {
  const OptimizerFn sgd = get_optimizer_fn("sgd", 0.1);
  const OptimizerFn sometimes =
      get_optimizer_wrapper_fn("batch_gradients", sgd, {.num_batches = 2, .sync_on_apply = true});
  const auto join = [&](const OptimizerFn& first, const OptimizerFn& second) {
    RunConfig config{toy_options("", 1)};
    config.optimizer_fn = {first, second};
    config.model_fn = two_losses;
    std::vector<InputTensor> batch;
    BuiltGraph graph = build_run_graph(config, &batch);
    cluster::ExchangerNumber number;
    CollectiveExchange({number.number()}).join(&graph);
  };
  join(sgd, sgd);
  join(sometimes, sometimes);
  EXPECT_NE(error_of<InvalidArgumentError>([&] { join(sometimes, sgd); }).find("sync_on_apply"), std::string::npos);
}

TEST(CollectiveExchange, AStepWithoutTheOtherIsAnErrorThatNamesIt) {
  const std::vector<Worker> workers = train_two(5, false, false, 2);
  EXPECT_NE(workers[0].error.find("worker 1 (127.0.0.1:"), std::string::npos) << workers[0].error;
}

}  // namespace
}  // namespace mox
