// What the lifted pipeline looks like; what it does is tested through run().
#include "input/lift_input.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "input/input_options.h"
#include "tensorflow/core/framework/dataset_options.pb.h"

namespace mox {
namespace {

// The options of the lifted pipeline's last data set, when it has any.
std::optional<tensorflow::data::Options> options_of(const tensorflow::GraphDef& graph) {
  for (const auto& node : graph.node())
    if (node.op() == "OptionsDataset" && node.name() == "input/options") {
      tensorflow::data::Options options;
      EXPECT_TRUE(options.ParseFromString(node.attr().at("serialized_options").s()));
      return options;
    }
  return std::nullopt;
}

InputGraph five_numbers() {
  InputGraph input;
  auto* five = input.graph.add_node();
  five->set_name("five");
  five->set_op("Const");
  (*five->mutable_attr())["dtype"].set_type(tensorflow::DT_FLOAT);
  tensorflow::Tensor value(5.f);
  value.AsProtoTensorContent((*five->mutable_attr())["value"].mutable_tensor());
  input.outputs.push_back({"five:0", tensorflow::DT_FLOAT, tensorflow::PartialTensorShape({})});
  return input;
}

// tf.data's tuner costs time at every element, and an iterator's end waits for it (up to a minute).
TEST(LiftInput, AutotuneIsOffUnlessTheUserSetsIt) {
  InputGraph input = five_numbers();
  const auto ours = options_of(lift_input(input, {.batch_size = 2}).graph);
  ASSERT_TRUE(ours.has_value());
  EXPECT_FALSE(ours->autotune_options().enabled());
  EXPECT_EQ(ours->autotune_options().optional_enabled_case(), tensorflow::data::AutotuneOptions::kEnabled);

  tensorflow::data::Options wish;
  wish.mutable_autotune_options()->set_enabled(true);
  auto* node = input.graph.add_node();
  node->set_name("wish");
  node->set_op("OptionsDataset");
  (*node->mutable_attr())["serialized_options"].set_s(wish.SerializeAsString());
  EXPECT_FALSE(options_of(lift_input(input, {.batch_size = 2}).graph).has_value());
}

// What TensorFlow's batching cannot take is checked; what always has values is not.
TEST(LiftInput, OutputsThatMayHaveNoValuesAreCheckedBeforeTheyAreBatched) {
  const auto checks = [](const LiftedInput& lifted) {
    int count = 0;
    for (const auto& function : lifted.graph.library().function())
      for (const auto& node : function.node_def()) count += node.op() == "MoxCheckElement";
    return count;
  };
  InputGraph input = five_numbers();
  EXPECT_EQ(checks(lift_input(input, {.batch_size = 2})), 0);
  input.outputs[0].shape = tensorflow::PartialTensorShape({-1, 3});
  EXPECT_EQ(checks(lift_input(input, {.batch_size = 2})), 1);
  EXPECT_EQ(checks(lift_input(input, {.auto_batch = false, .batch_size = 2})), 0);
}

int private_threads(const tensorflow::GraphDef& graph) {
  return options_of(graph)->threading_options().private_threadpool_size();
}

TEST(InputOptions, CheapInputGetsOneThreadOthersAllCores) {
  tensorflow::GraphDef cheap = lift_input(five_numbers(), {.batch_size = 2}).graph;
  EXPECT_TRUE(give_input_own_threads(&cheap));
  EXPECT_EQ(private_threads(cheap), 1);
  int taken_in_place = 0;
  for (const auto& node : cheap.node()) taken_in_place += node.op() == "IteratorGetNextSync";
  EXPECT_EQ(taken_in_place, 1);

  tensorflow::GraphDef reads_files = lift_input(five_numbers(), {.batch_size = 2}).graph;
  auto* function = reads_files.mutable_library()->add_function();
  function->mutable_signature()->set_name("reads");
  auto* read = function->add_node_def();
  read->set_name("read");
  read->set_op("ReadFile");
  EXPECT_TRUE(give_input_own_threads(&reads_files));
  EXPECT_EQ(private_threads(reads_files), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace mox
