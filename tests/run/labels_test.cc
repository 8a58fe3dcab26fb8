// Labels that are no class stop a run, whoever wrote the input and the loss; and the class list of a run is the run's.
#include <fstream>

#include "moxing/class_names.h"
#include "moxing/datasets.h"
#include "moxing/losses.h"
#include "moxing/tensor_dataset.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace tf = tensorflow;
using Names = std::vector<std::string>;

constexpr int kClasses = 3;

// Labels 0, 1, …, `labels` - 1 and again from 0; a weight of 0 for those that are no class.
InputFn labelled_input(int labels, Names names = {}) {
  return [=](const Scope& s, ModeKeys) {
    const int64_t count = 24;
    tf::Tensor x(tf::DT_FLOAT, {count, 2}), y(tf::DT_INT64, {count}), w(tf::DT_FLOAT, {count});
    for (int64_t i = 0; i < count; ++i) {
      x.matrix<float>()(i, 0) = static_cast<float>(i % labels);
      x.matrix<float>()(i, 1) = 1;
      y.vec<int64_t>()(i) = i % labels;
      w.vec<float>()(i) = i % labels < kClasses;
    }
    return make_tensor_dataset({{"x", x}, {"y", y}, {"w", w}}, names, {.num_epochs = 2})->get(s, {"x", "y", "w"});
  };
}

using LossFn = std::function<Output(const Scope& s, const std::vector<Output>& inputs, const Output& logits)>;

RunOptions options_of(const std::string& log_dir, int labels, LossFn loss_fn, Names names = {}) {
  RunOptions options = toy_options(log_dir, 2);
  options.input_fn = labelled_input(labels, std::move(names));
  options.model_fn = [loss_fn](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    const Output w = s.get_variable("w", {2, kClasses}, {.initializer = zeros_initializer()});
    const Output logits = ops::MatMul(s, inputs[0], w), loss = loss_fn(s, inputs, logits);
    return ModelSpec{.loss = loss,
                     .log_info = {{"loss", loss}},
                     .export_spec = ExportSpec{{{"x", inputs[0]}}, {{"logits", logits}}}};
  };
  return options;
}

Output dense_loss(const Scope& s, const std::vector<Output>& inputs, const Output& logits) {
  return losses::softmax_cross_entropy(s, layers::one_hot_encoding(s, inputs[1], kClasses), logits,
                                       {.label_smoothing = 0.1f});
}

class LabelRange : public ::testing::TestWithParam<std::pair<const char*, LossFn>> {};

TEST_P(LabelRange, ALabelThatIsNoClassStopsTheRun) {
  TempDir dir;
  const LossFn loss = GetParam().second;
  EXPECT_EQ(run(options_of("", kClasses, loss)).steps, 2);
  const std::string error = error_of<RunError>([&] { run(options_of(dir.path(), kClasses + 1, loss)); });
  EXPECT_NE(error.find("sample 3 of the batch"), std::string::npos) << error;
  EXPECT_NE(error.find("0 to 2"), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Losses, LabelRange,
    ::testing::Values(std::pair("OneHot", LossFn(dense_loss)),
                      std::pair("SparseWithSmoothing",
                                LossFn([](const Scope& s, const std::vector<Output>& inputs, const Output& logits) {
                                  return losses::sparse_softmax_cross_entropy(s, inputs[1], logits,
                                                                              {.label_smoothing = 0.1f});
                                })),
                      std::pair("ConstantWeight",
                                LossFn([](const Scope& s, const std::vector<Output>& inputs, const Output& logits) {
                                  const Output one_hot = layers::one_hot_encoding(s, inputs[1], kClasses);
                                  const auto each = ops::SoftmaxCrossEntropyWithLogits(s, logits, one_hot);
                                  return ops::Mean(s, ops::Multiply(s, each.loss, 2.f), 0);
                                }))),
    [](const auto& info) { return info.param.first; });

// The input pipeline made the rows: what the label was is not known any more.
TEST(Labels, RowsWithoutAClassStopTheRun) {
  TempDir dir;
  RunOptions options =
      options_of(dir.path(), kClasses + 1, [](const Scope& s, const std::vector<Output>& inputs, const Output& logits) {
        return losses::softmax_cross_entropy(s, inputs[1], logits);
      });
  options.input_fn = [](const Scope& s, ModeKeys mode) {
    const auto sample = labelled_input(kClasses + 1)(s, mode);
    return std::vector<Output>{sample[0], ops::OneHot(s, sample[1], kClasses, 1.f, 0.f)};
  };
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("labels of sample 3 of the batch are 3 zeros"), std::string::npos) << error;
}

TEST(Labels, ASampleOfWeightZeroIsLeftOut) {
  const auto weighted = [](const Scope& s, const std::vector<Output>& inputs, const Output& logits) {
    return losses::softmax_cross_entropy(s, layers::one_hot_encoding(s, inputs[1], kClasses), logits,
                                         {.sample_weights = inputs[2]});
  };
  EXPECT_EQ(run(options_of("", kClasses + 1, weighted)).steps, 2);
}

TEST(Labels, AnEvaluationChecksThemToo) {
  TempDir dir;
  run(options_of(dir.path(), kClasses, dense_loss));
  RunOptions options = options_of("", kClasses + 1, dense_loss);
  options.run_mode = ModeKeys::EVAL;
  options.checkpoint_path = dir.path();
  EXPECT_NE(error_of<RunError>([&] { run(options); }).find("label 3 of sample 3"), std::string::npos);
}

TEST(Labels, ARunGoesOnWithItsOwnClassesOnly) {
  TempDir dir;
  run(options_of(dir.path(), kClasses, dense_loss, {"ant", "bee", "cow"}));
  RunOptions other = options_of(dir.path(), kClasses, dense_loss, {"ant", "cow", "dog"});
  other.max_number_of_steps = 3;
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              run(other);
            }).find("the run alone has 'bee', the data alone has 'dog'; go on with data of the same classes"),
            std::string::npos);
  EXPECT_EQ(read_class_names(dir.path()), (Names{"ant", "bee", "cow"}));
  other.log_dir.clear();
  other.run_mode = ModeKeys::EVAL;
  other.checkpoint_path = dir.path();
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(other); }).find("'bee'"), std::string::npos);
  other.input_fn = labelled_input(kClasses, {"ant", "cow", "bee"});
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              run(other);
            }).find("the order differs: class 1 is 'bee' of the run and 'cow' of the data"),
            std::string::npos);
  other.input_fn = labelled_input(kClasses, {"ant", "bee", "cow"});
  EXPECT_EQ(run(other).steps, 3);
  other.input_fn = labelled_input(kClasses);  // without names
  EXPECT_EQ(run(other).steps, 3);
}

TEST(Labels, TheListIsWrittenAndReadAsDataSetsDo) {
  TempDir dir;
  EXPECT_EQ(read_class_names(dir.path()), Names{});
  const Names names = {"tench, Tinca tinca", "type 2: b", "crane", "crane"};
  write_class_names(dir.path(), names);
  EXPECT_EQ(read_class_names(dir.path()), names);
  const auto write = [&](const std::string& text) { std::ofstream(dir.path("labels.txt")) << text; };
  write("0: ant\r\n1: bee\r\n");
  EXPECT_EQ(read_class_names(dir.path()), (Names{"ant", "bee"}));
  write("ant\nbee\n");
  EXPECT_EQ(read_class_names(dir.path()), (Names{"ant", "bee"}));
  write("0: ant\n2: bee\n");
  EXPECT_NE(error_of<DataError>([&] { read_class_names(dir.path()); }).find("line 2: class 2 follows class 0"),
            std::string::npos);
}

TEST(Labels, InterModeHasTheClassesOfTheTraining) {
  RunOptions options = options_of("", kClasses, dense_loss);
  options.inter_mode = ModeKeys::EVAL;
  options.input_fn = [](const Scope& s, ModeKeys mode) {
    return labelled_input(kClasses, mode == ModeKeys::TRAIN ? Names{"ant", "bee", "cow"} : Names{"bee", "cow"})(s,
                                                                                                                mode);
  };
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("the run alone has 'ant'"), std::string::npos);
}

}  // namespace
}  // namespace mox
