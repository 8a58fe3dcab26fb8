// What a session keeps of variables that nothing writes: folded weights, found by one operation, and filters packed
// once.
#include "passes/constant_filters.h"

#include <gtest/gtest.h>

#include "passes/fold_batch_norm.h"
#include "passes/fold_networks.h"

namespace mox::folding {
namespace {

// What a step runs.
tf::GraphDef graph_of_step(tf::Session* session, const Values& feeds) {
  tf::RunOptions options;
  options.set_output_partition_graphs(true);
  tf::RunMetadata metadata;
  std::vector<tf::Tensor> outputs;
  TF_CHECK_OK(session->Run(options, feeds, {"output"}, {}, &outputs, &metadata));
  CHECK_EQ(metadata.partition_graphs_size(), 1);
  return metadata.partition_graphs(0);
}

// Filters that oneDNN's convolutions of a step keep.
int kept_filters(tf::Session* session, const Values& feeds) {
  const tf::GraphDef graph = graph_of_step(session, feeds);
  int kept = 0;
  for (const tf::NodeDef& node : graph.node())
    kept += node.attr().count("is_filter_const") && node.attr().at("is_filter_const").b();
  return kept;
}

std::unique_ptr<tf::Session> initialized_session(const Model& model) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.built.graph));
  for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  return session;
}

// Not where a step feeds one, or where something writes one.
TEST(FoldedVariables, AreFoundByOneOperation) {
  const Values images = {{"images", random_tensor(tf::TensorShape(kShape), 100)}};
  Values with_gamma = images;
  with_gamma.emplace_back("conv/BatchNorm/gamma/read", random_tensor({12}, 1));
  for (const bool gamma_is_written : {false, true}) {
    Model model = build(convolution(norm_options(true)), kShape);
    ASSERT_EQ(fold_batch_norm(&model.built), 1);
    if (gamma_is_written)
      NodeMaker(&model.built.graph, "write", "AssignAddVariableOp")
          .input("conv/BatchNorm/gamma")
          .input("conv/BatchNorm/gamma/read")
          .attr("dtype", tf::DT_FLOAT);
    mark_constant_filters(&model.built);
    const std::unique_ptr<tf::Session> session = initialized_session(model);
    for (const bool is_fed : {false, true}) {
      const tf::GraphDef graph = graph_of_step(session.get(), is_fed ? with_gamma : images);
      const bool is_one = !gamma_is_written && !is_fed;
      EXPECT_EQ(count_of(graph, "MoxFoldBatchNormOfVariables"), is_one);
      EXPECT_EQ(count_of(graph, "MoxFoldBatchNorm"), !is_one);
      EXPECT_EQ(count_of(graph, "ReadVariableOp"), is_one ? 0 : is_fed ? 4 : 5);
      EXPECT_EQ(count_of(graph, "VarHandleOp"), is_one ? 0 : is_fed ? 4 : 5);
    }
  }
}

// What a step reads besides, it still reads.
TEST(FoldedVariables, AreReadByOthers) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session = initialized_session(model);
  std::vector<tf::Tensor> outputs;
  TF_CHECK_OK(session->Run({{"images", random_tensor(tf::TensorShape(kShape), 100)}},
                           {"output", "conv/BatchNorm/gamma/read"}, {}, &outputs));
  EXPECT_EQ(outputs[1].shape(), tf::TensorShape({12}));
}

// Restored anew between two steps, which no part of the graph says.
TEST(FoldedVariables, AreFollowed) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  std::string fold;
  for (const tf::NodeDef& node : model.built.graph.node())
    if (node.op() == "MoxFoldBatchNorm") fold = node.name();
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session = initialized_session(model);
  std::vector<tf::Tensor> last, same, now;
  TF_CHECK_OK(session->Run({}, {fold}, {}, &last));
  TF_CHECK_OK(session->Run({}, {fold}, {}, &same));
  EXPECT_EQ(same[0].data(), last[0].data());
  for (const VariableInfo& v : model.built.variables)
    if (v.name == "conv/weights") TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  TF_CHECK_OK(session->Run({}, {fold}, {}, &now));
  EXPECT_GT(relative_difference(now[0], last[0]), 0.1);
}

TEST(FoldedVariables, NeedValues) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.built.graph));
  std::vector<tf::Tensor> outputs;
  const absl::Status status =
      session->Run({{"images", random_tensor(tf::TensorShape(kShape), 100)}}, {"output"}, {}, &outputs);
  EXPECT_NE(status.message().find("conv/weights"), std::string::npos) << status;
}

TEST(ConstantFilters, AreThoseOfVariablesThatNothingWrites) {
  const Network two = [](const Scope& s, const Output& x) {
    return layers::conv2d(s, convolution(norm_options(true))(s, x), 7, 3, "head");
  };
  const std::pair<std::string, tf::Tensor> images = {"images", random_tensor(tf::TensorShape(kShape), 100)};
  for (const bool head_is_written : {false, true}) {
    Model model = build(two, kShape);
    fold_batch_norm(&model.built);
    if (head_is_written)
      NodeMaker(&model.built.graph, "write", "AssignAddVariableOp")
          .input("head/weights")
          .input("head/weights/read")
          .attr("dtype", tf::DT_FLOAT);
    mark_constant_filters(&model.built);
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(model.built.graph));
    for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
    EXPECT_EQ(kept_filters(session.get(), {images}), head_is_written ? 1 : 2);
    EXPECT_EQ(kept_filters(session.get(), {images, {"conv/BatchNorm/gamma/read", random_tensor({12}, 1)}}),
              head_is_written ? 0 : 1);
  }
}

}  // namespace
}  // namespace mox::folding
