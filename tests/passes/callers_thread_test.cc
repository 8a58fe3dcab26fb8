#include "passes/callers_thread.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "passes/processor.h"
#include "tensorflow/core/framework/dataset_options.pb.h"

namespace mox {
namespace {

tensorflow::NodeDef* add(BuiltGraph* graph, const std::string& name, const std::string& op) {
  tensorflow::NodeDef* node = graph->graph.add_node();
  node->set_name(name);
  node->set_op(op);
  return node;
}

void set_options(tensorflow::NodeDef* node, bool autotune, int threads) {
  tensorflow::data::Options options;
  options.mutable_autotune_options()->set_enabled(autotune);
  options.mutable_threading_options()->set_max_intra_op_parallelism(threads);
  (*node->mutable_attr())["serialized_options"].set_s(options.SerializeAsString());
}

// A step on so many devices that takes samples from an input pipeline with our options and has so many weights.
BuiltGraph step(size_t towers, int64_t weights) {
  BuiltGraph graph;
  graph.towers.resize(towers);
  graph.samples_per_step = 16;
  VariableInfo variable;
  variable.trainable = true;
  variable.shape = tensorflow::TensorShape({weights});
  graph.variables = {variable};
  add(&graph, "data", "RangeDataset");
  set_options(add(&graph, "options", "OptionsDataset"), false, 1);  // as input/input_options.h adds them
  add(&graph, "next", "IteratorGetNext");
  return graph;
}

BuiltGraph convolving_step(size_t towers) {
  BuiltGraph graph = step(towers, 1 << 24);
  add(&graph, "gradient", "Conv2DBackpropFilter");
  return graph;
}

bool runs_there(BuiltGraph graph, int threads) {
  run_training_step_in_callers_thread(&graph, threads);
  const bool takes_there = std::any_of(graph.graph.node().begin(), graph.graph.node().end(),
                                       [](const auto& node) { return node.op() == "IteratorGetNextSync"; });
  EXPECT_EQ(graph.in_callers_thread, takes_there);
  return graph.in_callers_thread;
}

TEST(CallersThread, RunsSmallSteps) {
  EXPECT_TRUE(runs_there(step(1, 1 << 20), 2));
  EXPECT_TRUE(runs_there(step(1, 1 << 20), 1)) << "whatever computes inside an operation";
  EXPECT_FALSE(runs_there(step(1, (1 << 20) + 1), 2)) << "large";
  EXPECT_FALSE(runs_there(step(2, 1 << 10), 2)) << "devices compute side by side";
  BuiltGraph unknown = step(1, 1 << 10);
  unknown.samples_per_step = 0;
  EXPECT_FALSE(runs_there(unknown, 2));
}

TEST(CallersThread, RunsConvolutionsWhereEachComputesInAllThreads) {
  EXPECT_TRUE(runs_there(convolving_step(1), 2));
  EXPECT_TRUE(runs_there(convolving_step(1), 8));
  EXPECT_FALSE(runs_there(convolving_step(1), 1)) << "one thread an operation: several operations at once";
  EXPECT_FALSE(runs_there(convolving_step(1), 9)) << "more threads than were measured";
  EXPECT_FALSE(runs_there(convolving_step(2), 2)) << "devices compute side by side";
  const testing::Environment off("MOX_STEP_THREADS", "0");
  EXPECT_FALSE(runs_there(convolving_step(1), 2));
}

TEST(CallersThread, LeavesAnInputThatChoseItsThreads) {
  for (const bool autotune : {true, false}) {
    BuiltGraph graph = convolving_step(1);
    for (tensorflow::NodeDef& node : *graph.graph.mutable_node())
      if (node.op() == "OptionsDataset") set_options(&node, autotune, autotune ? 1 : 4);
    EXPECT_FALSE(runs_there(graph, 2));
  }
}

}  // namespace
}  // namespace mox
