// What starts and saves run beside the session: variables reached without it, steps that another kind of step does, and
// checkpoints as TensorFlow's own writer would write them.
#include <fstream>
#include <sstream>

#include "graph/added_work.h"
#include "run/checkpoint_file.h"
#include "run/direct_access.h"
#include "run/toy_model.h"
#include "tensorflow/core/public/session.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace tf = tensorflow;

tf::GraphDef graph_of(const Scope& s) {
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

tf::NodeDef node_of_op(const tf::GraphDef& graph, const std::string& op) {
  for (const tf::NodeDef& node : graph.node())
    if (node.op() == op) return node;
  return {};
}

struct Variable {
  tf::GraphDef graph;
  tf::NodeDef handle;
};

Variable random_variable() {
  const Scope s = Scope::new_root();
  const auto handle = ops::VarHandleOp(s.WithOpName("w"), tf::DT_FLOAT, {300, 7}, ops::VarHandleOp::SharedName("w"));
  const auto value = ops::TruncatedNormal(s, {300, 7}, tf::DT_FLOAT, ops::TruncatedNormal::Seed(3).Seed2(4));
  ops::AssignVariableOp(s.WithOpName("init"), handle, value);
  ops::ReadVariableOp(s.WithOpName("read"), handle, tf::DT_FLOAT);
  const tf::GraphDef graph = graph_of(s);
  return {graph, node_of_op(graph, "VarHandleOp")};
}

std::unique_ptr<tf::Session> session_on(const tf::GraphDef& graph, int devices = 1) {
  tf::SessionOptions options;
  (*options.config.mutable_device_count())["CPU"] = devices;
  std::unique_ptr<tf::Session> session(tf::NewSession(options));
  TF_CHECK_OK(session->Create(graph));
  return session;
}

tf::Tensor value_of(tf::Session& session) {
  std::vector<tf::Tensor> values;
  TF_CHECK_OK(session.Run({}, {"read"}, {}, &values));
  return values[0];
}

TEST(DirectAccess, InitialisesAsTheSessionDoes) {
  const Variable variable = random_variable();
  const auto by_session = session_on(variable.graph), directly = session_on(variable.graph);
  TF_CHECK_OK(by_session->Run({}, {}, {"init"}, nullptr));
  const auto access = DirectAccess::to(*directly);
  ASSERT_TRUE(access);
  EXPECT_FALSE(access->read(variable.handle));  // it has no value yet
  std::optional<tf::GraphDef> part = DirectAccess::cut_out(variable.graph, {"init"});
  ASSERT_TRUE(part);
  TF_CHECK_OK(access->run(*std::move(part)));
  const tf::Tensor expected = value_of(*by_session), found = value_of(*directly);
  EXPECT_EQ(expected.tensor_data(), found.tensor_data());
  const auto read = access->read(variable.handle);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tensor_data(), found.tensor_data());
}

TEST(DirectAccess, LeavesToTheSessionWhatItCannotDo) {
  Variable variable = random_variable();
  EXPECT_FALSE(DirectAccess::to(*session_on(variable.graph, 2)));
  for (tf::NodeDef& node : *variable.graph.mutable_node())
    if (node.op() == "TruncatedNormal") node.set_device("/CPU:0");
  EXPECT_FALSE(DirectAccess::cut_out(variable.graph, {"init"}));
  for (tf::NodeDef& node : *variable.graph.mutable_node())
    if (node.op() == "TruncatedNormal") node.set_op("a_function_of_the_graph");
  EXPECT_FALSE(DirectAccess::cut_out(variable.graph, {"init"}));
}

// Steps are prepared while variables get their values: who uses one waits.
TEST(Initializing, AFailureIsTheRunsError) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    const Initializer broken = [](const Scope& scope, const tf::TensorShape&, tf::DataType) -> Output {
      return ops::CheckNumerics(scope, ops::Log(scope, ops::Const(scope, {-1.f, -2.f})), "no such number");
    };
    s.get_variable("broken", {2}, {.initializer = broken, .trainable = false});
    return regression_model(s, inputs, mode);
  };
  const std::string error = error_of<Error>([&] { run(options); });
  EXPECT_NE(error.find("initialising the variables"), std::string::npos) << error;
  EXPECT_NE(error.find("no such number"), std::string::npos) << error;
}

TEST(AddedWork, IsLittleWhereItOnlyLooks) {
  const Scope s = Scope::new_root();
  const Output x = ops::Placeholder(s.WithOpName("x"), tf::DT_FLOAT);
  const Output step = ops::MatMul(s.WithOpName("step"), x, x);
  ops::Mean(s.WithOpName("mean"), step, {0, 1});
  ops::ScalarSummary(s.WithOpName("scalar"), std::string("mean"), ops::Mean(s, step, {0, 1}));
  ops::HistogramSummary(s.WithOpName("histogram"), std::string("step"), step);
  ops::MatMul(s.WithOpName("product"), step, x);
  ops::Mean(s.WithOpName("mean_of_product"), ops::MatMul(s, step, step), {0, 1});
  const Output count = ops::VarHandleOp(s, tf::DT_FLOAT, {}, ops::VarHandleOp::SharedName("count"));
  const auto counted = ops::AssignAddVariableOp(s, count, 1.f);
  ops::ReadVariableOp(s.WithOpName("count"), count, tf::DT_FLOAT);
  ops::ReadVariableOp(s.WithOpName("counted").WithControlDependencies({counted.operation}), count, tf::DT_FLOAT);
  const tf::GraphDef graph = graph_of(s);
  for (const char* little : {"mean:0", "scalar:0", "count:0", "step:0"})
    EXPECT_TRUE(adds_little(graph, {"step"}, {little})) << little;
  for (const char* much : {"histogram:0", "product:0", "mean_of_product:0", "counted:0"})
    EXPECT_FALSE(adds_little(graph, {"step"}, {"mean:0", much})) << much;
  EXPECT_FALSE(adds_little(graph, {}, {"mean:0"}));  // with the step itself
}

// A log_info that counts how often it was computed: it is where a line is logged, and in no other step.
TEST(StepKinds, WhatHasAnEffectRunsOnlyWhereItIsWanted) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 9);
  options.log_every_n_steps = 4;
  options.save_summary_steps = 8;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    const auto looks = s.get_variable_object("looks", {}, {.trainable = false});
    const auto counted = ops::AssignAddVariableOp(s, looks.handle, 1.f);
    spec.log_info.emplace_back(
        "looks", ops::ReadVariableOp(s.WithControlDependencies({counted.operation}), looks.handle, tf::DT_FLOAT));
    return spec;
  };
  const RunResult result = run(options);
  EXPECT_EQ(result.steps, 9);
  const auto looks =
      std::find_if(result.metrics.begin(), result.metrics.end(), [](const auto& m) { return m.first == "looks"; });
  ASSERT_NE(looks, result.metrics.end());
  EXPECT_EQ(looks->second, 3);  // in steps 0, 4 and 8
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(CheckpointFile, IsWhatTensorFlowWrites) {
  TempDir dir;
  NamedValues values;
  tf::Tensor large(tf::DT_FLOAT, {700, 900}), whole(tf::DT_INT64, {}), half(tf::DT_BFLOAT16, {5}),
      none(tf::DT_FLOAT, {0, 3});
  for (int64_t i = 0; i < large.NumElements(); ++i) large.flat<float>()(i) = std::sin(static_cast<float>(i));
  whole.scalar<int64_t>()() = 7;
  half.flat<tf::bfloat16>().setConstant(tf::bfloat16(1.5f));
  for (const auto& [name, value] :
       {std::pair("w/weights", large), {"global_step", whole}, {"b", half}, {"w/none", none}})
    values.emplace_back(name, value);
  tf::BundleWriter writer(tf::Env::Default(), dir.path("theirs"));
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [name, value] : sorted) TF_CHECK_OK(writer.Add(name, value));
  TF_CHECK_OK(writer.Finish());
  write_checkpoint(dir.path("folder/ours"), values);
  for (const char* end : {".index", ".data-00000-of-00001"})
    EXPECT_EQ(content(dir.path("theirs") + end), content(dir.path("folder/ours") + end)) << end;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path("folder")), {}), 2);  // no temporary file
  tf::BundleReader reader(tf::Env::Default(), dir.path("folder/ours"));
  tf::Tensor read(tf::DT_FLOAT, {700, 900});
  TF_CHECK_OK(reader.Lookup("w/weights", &read));
  EXPECT_EQ(read.tensor_data(), large.tensor_data());
}

}  // namespace
}  // namespace mox
