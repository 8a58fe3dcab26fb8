// The gradients of a process and of others: an exchange stands after the loss scale and before the clip, and decides
// with the others whether a step counts.
#include "exchange/exchange.h"

#include "exchange/local_exchange.h"
#include "graph/node_defs.h"
#include "run/engine_session.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

std::string constant(tensorflow::GraphDef* graph, const std::string& name, const Tensor& value) {
  NodeMaker(graph, name, "Const").attr("dtype", value.dtype()).attr("value", value);
  return name;
}

// Another worker, made up: its gradients make this one's a thousand times larger, and it says whether they are finite.
class WithAnother : public LocalExchange {
 public:
  explicit WithAnother(bool finite = true) : finite_(finite) {}

  std::string all_finite(BuiltGraph* graph, const std::string& finite) override {
    Tensor others(tensorflow::DT_BOOL, {});
    others.scalar<bool>()() = finite_;
    constant(&graph->graph, "others/finite", others);
    NodeMaker(&graph->graph, "all/finite", "LogicalAnd").input(finite).input("others/finite");
    return "all/finite";
  }

  void join(BuiltGraph* graph) override {
    LocalExchange::join(graph);
    tensorflow::GraphDef* def = &graph->graph;
    const std::string factor = constant(def, "others/factor", Tensor(1000.f));
    for (const GradientSlot& slot : graph->gradients) {
      int i = 0;
      while (def->node(i).name() != slot.slot) ++i;
      const std::string mean = def->node(i).input(0);
      own.push_back(mean.find(':') == std::string::npos ? mean + ":0" : mean);
      const std::string joined = slot.slot + "/all";
      NodeMaker(def, joined, "Mul").input(def->node(i).input(0)).input(factor).attr("T", tensorflow::DT_FLOAT);
      def->mutable_node(i)->set_input(0, joined);
    }
    add_state(graph);
  }

  std::vector<std::string> own;  // tensors: this process's gradients, as the exchange gets them

 private:
  // A count of the exchanges, as state that checkpoints keep.
  void add_state(BuiltGraph* graph) {
    tensorflow::GraphDef* def = &graph->graph;
    NodeMaker(def, "exchanges", "VarHandleOp")
        .attr("dtype", tensorflow::DT_FLOAT)
        .attr("shape", tensorflow::TensorShape())
        .attr("shared_name", std::string("exchanges"));
    const std::string zero = constant(def, "exchanges/zero", Tensor(0.f));
    const std::string one = constant(def, "exchanges/one", Tensor(1.f));
    for (const auto& [op, value] : {std::pair("AssignVariableOp", zero), std::pair("AssignAddVariableOp", one)})
      NodeMaker(def, std::string("exchanges/") + op, op)
          .input("exchanges")
          .input(value)
          .attr("dtype", tensorflow::DT_FLOAT);
    graph->variables.push_back(
        {"exchanges", "exchanges", "exchanges/AssignVariableOp", tensorflow::DT_FLOAT, {}, false, true});
    graph->train_ops.push_back("exchanges/AssignAddVariableOp");
  }

  const bool finite_;
};

struct Stepped {
  std::map<std::string, Tensor> before, after;
  std::vector<Tensor> own;
};

// One step of the toy model.
Stepped one_step(WithAnother* exchange, GradientOptions options) {
  RunConfig config{toy_options("", 1)};
  config.loss_scale = options.loss_scale;
  config.dynamic_loss_scale = options.dynamic_loss_scale;
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  connect_gradients(&graph, exchange, options);
  EngineSession session(graph, SessionFactory(config));
  session.initialize({});
  session.start_input();
  Stepped stepped;
  for (auto& [name, value] : session.read_variables()) stepped.before[name] = value;
  stepped.own = session.run(session.prepare(exchange->own, graph.train_ops));
  for (auto& [name, value] : session.read_variables()) stepped.after[name] = value;
  return stepped;
}

// Of all trained variables together.
double norm_of_update(const Stepped& stepped) {
  double sum = 0;
  for (const char* name : {"w", "b"}) {
    const auto before = stepped.before.at(name).flat<float>(), after = stepped.after.at(name).flat<float>();
    for (int64_t i = 0; i < before.size(); ++i) sum += std::pow(after(i) - before(i), 2);
  }
  return std::sqrt(sum);
}

TEST(Exchange, StandsBetweenLossScaleAndClip) {
  WithAnother plain, scaled;
  GradientOptions options{.clip = {0.5, "global_norm"}};
  const Stepped without = one_step(&plain, options);
  options.loss_scale = 1024;
  const Stepped with = one_step(&scaled, options);
  ASSERT_EQ(with.own.size(), without.own.size());
  for (size_t i = 0; i < with.own.size(); ++i)
    for (int64_t k = 0; k < with.own[i].NumElements(); ++k)
      EXPECT_NEAR(with.own[i].flat<float>()(k), without.own[i].flat<float>()(k), 1e-5);
  EXPECT_NEAR(norm_of_update(with), 0.1 * 0.5, 1e-5);  // the learning rate, the limit
}

TEST(Exchange, AddsToTheStepAndToTheCheckpoint) {
  WithAnother exchange;
  const Stepped stepped = one_step(&exchange, {});
  EXPECT_EQ(stepped.before.at("exchanges").scalar<float>()(), 0);
  EXPECT_EQ(stepped.after.at("exchanges").scalar<float>()(), 1);
}

TEST(Exchange, AStepThatAnotherSkipsIsSkippedHereToo) {
  for (const bool finite : {true, false}) {
    WithAnother exchange(finite);
    const Stepped stepped = one_step(&exchange, {.dynamic_loss_scale = true});
    const float before = stepped.before.at("loss_scale_value").scalar<float>()(),
                after = stepped.after.at("loss_scale_value").scalar<float>()();
    EXPECT_EQ(norm_of_update(stepped) > 0, finite);
    EXPECT_EQ(after, finite ? before : before / 2);
    EXPECT_EQ(stepped.after.at("global_step").scalar<int64_t>()(), 1);
  }
}

}  // namespace
}  // namespace mox
