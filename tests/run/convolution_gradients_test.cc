// Trainings in C++ whose convolutions have what TensorFlow's C++ gradients forget: dilations and explicit paddings.
#include <functional>

#include "graph/graph_session.h"
#include "run/toy_model.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// The loss of two layers of an image, with these filters.
using Loss =
    std::function<Output(const tensorflow::Scope& s, const Output& x, const Output& first, const Output& second)>;

constexpr int64_t kChannels = 3;
const TensorShape kFilter{3, 3, kChannels, kChannels};

Output image(const tensorflow::Scope& s) {
  return ops::Const(s, tensorflow::Input::Initializer(random_tensor({2, 9, 8, kChannels}, 1)));
}

Output weighed(const tensorflow::Scope& s, const Output& y) {
  return ops::Sum(s, ops::Mul(s, ops::Sin(s, y), y), {0, 1, 2, 3});
}

// d loss / d filter by differences, for an element of the first filter and of the second.
struct Difference {
  int filter;
  int64_t element;
};

double by_difference(const Loss& loss, const Difference& at, const std::vector<Tensor>& filters) {
  const Scope s = Scope::new_root();
  const Output first = ops::Placeholder(s.WithOpName("w0"), tensorflow::DT_FLOAT),
               second = ops::Placeholder(s.WithOpName("w1"), tensorflow::DT_FLOAT);
  ops::Identity(s.WithOpName("loss"), loss(s, image(s), first, second));
  tensorflow::GraphDef graph;
  TF_CHECK_OK(s.ToGraphDef(&graph));
  const std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  constexpr float kStep = 1e-2f;
  double sides[2];
  for (const int side : {0, 1}) {
    std::vector<Tensor> moved;
    for (const Tensor& filter : filters) {
      moved.emplace_back(filter.dtype(), filter.shape());
      moved.back().flat<float>() = filter.flat<float>();
    }
    moved[at.filter].flat<float>()(at.element) += side == 0 ? -kStep : kStep;
    std::vector<Tensor> results;
    TF_CHECK_OK(session->Run({{"w0", moved[0]}, {"w1", moved[1]}}, {"loss"}, {}, &results));
    sides[side] = results[0].scalar<float>()();
  }
  return (sides[1] - sides[0]) / (2 * kStep);
}

// A step of SGD with the learning rate 1 moves variables that begin at 0 by their gradients.
void expect_right_gradients(const Loss& loss, const char* what) {
  const std::vector<Tensor> filters = {random_tensor(kFilter, 2), random_tensor(kFilter, 3)};
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 1);
  options.optimizer_fn = get_optimizer_fn("sgd", 1.0);
  options.model_fn = [&](const Scope& s, const std::vector<Output>&, ModeKeys) {
    std::vector<Output> moved;
    for (const int i : {0, 1})
      moved.push_back(
          ops::Add(s, ops::Const(s, tensorflow::Input::Initializer(filters[i])),
                   s.get_variable("moved" + std::to_string(i), kFilter, {.initializer = zeros_initializer()})));
    return ModelSpec{.loss = loss(s, image(s), moved[0], moved[1])};
  };
  const RunResult result = run(options);
  tensorflow::BundleReader reader(tensorflow::Env::Default(), result.checkpoint);
  for (const int i : {0, 1}) {
    Tensor moved;
    TF_CHECK_OK(reader.Lookup("moved" + std::to_string(i), &moved));
    for (const int64_t element : {0, 13, 40, 80}) {
      const double wanted = by_difference(loss, {i, element}, filters);
      EXPECT_NEAR(-moved.flat<float>()(element), wanted, 0.02 * (5 + std::abs(wanted))) << what << ", filter " << i;
    }
  }
}

TEST(ConvolutionGradients, KnowDilations) {
  expect_right_gradients(
      [](const tensorflow::Scope& s, const Output& x, const Output& first, const Output& second) -> Output {
        const Output y = ops::Conv2D(s, x, first, {1, 1, 1, 1}, "SAME", ops::Conv2D::Dilations({1, 2, 2, 1}));
        return weighed(
            s, ops::Conv2D(s, ops::Sin(s, y), second, {1, 1, 1, 1}, "SAME", ops::Conv2D::Dilations({1, 3, 1, 1})));
      },
      "dilations");
}

TEST(ConvolutionGradients, KnowExplicitPaddings) {
  const std::vector<int> paddings = {0, 0, 2, 0, 0, 1, 0, 0};
  const auto padded = ops::Conv2D::ExplicitPaddings(paddings);
  expect_right_gradients(
      [&](const tensorflow::Scope& s, const Output& x, const Output& first, const Output& second) -> Output {
        const Output y = ops::Conv2D(s, x, first, {1, 2, 2, 1}, "EXPLICIT", padded);
        return weighed(s, ops::Conv2D(s, ops::Sin(s, y), second, {1, 1, 1, 1}, "EXPLICIT", padded));
      },
      "explicit paddings");
}

// As an image pyramid of one filter has it: the gradients are told apart by their images.
TEST(ConvolutionGradients, ShareAFilterWithOtherDilations) {
  expect_right_gradients(
      [](const tensorflow::Scope& s, const Output& x, const Output& first, const Output& second) -> Output {
        const Output y = ops::Conv2D(s, ops::Sin(s, x), first, {1, 1, 1, 1}, "SAME"),
                     z = ops::Conv2D(s, x, first, {1, 1, 1, 1}, "SAME", ops::Conv2D::Dilations({1, 2, 2, 1}));
        return weighed(s, ops::Conv2D(s, ops::Add(s, y, z), second, {1, 1, 1, 1}, "SAME"));
      },
      "a shared filter");
}

// The error of a training with this loss.
void expect_error(const std::function<Output(const Scope& s, const Output& x, const Output& w)>& loss,
                  const std::vector<std::string>& parts) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 1);
  options.model_fn = [&](const Scope& s, const std::vector<Output>&, ModeKeys) {
    return ModelSpec{.loss = loss(s, image(s), s.get_variable("w", kFilter, {.initializer = zeros_initializer()}))};
  };
  try {
    run(options);
    FAIL() << "no error";
  } catch (const InvalidArgumentError& e) {
    for (const std::string& part : parts) EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(ConvolutionGradients, SayWhereTheyCannotBeTold) {
  expect_error(
      [](const Scope& s, const Output& x, const Output& w) -> Output {
        const Output one = ops::Conv2D(s.WithOpName("one"), x, w, {1, 1, 1, 1}, "SAME"),
                     two = ops::Conv2D(s.WithOpName("two"), x, w, {1, 1, 1, 1}, "SAME",
                                       ops::Conv2D::Dilations({1, 2, 2, 1}));
        return weighed(s, ops::Add(s, one, two));
      },
      {"one", "two", "dilations", "Identity"});
}

TEST(ConvolutionGradients, RefuseDilationsThatTensorFlowsKernelsLeaveOut) {
  expect_error(
      [](const Scope& s, const Output& x, const Output& w) -> Output {
        return weighed(s, ops::DepthwiseConv2dNative(s.WithOpName("deep"), x, w, {1, 1, 1, 1}, "SAME",
                                                     ops::DepthwiseConv2dNative::Dilations({1, 2, 2, 1})));
      },
      {"deep", "DepthwiseConv2dNative", "1, 2, 2, 1", "separable_conv2d", "rate"});
}

}  // namespace
}  // namespace mox
