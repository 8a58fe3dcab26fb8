// A small model on synthetic data for the tests of the run loop: linear regression whose input can be repeated.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/graph/node_builder.h"

namespace mox::testing {

namespace ops = tensorflow::ops;
using tensorflow::Output;

// A folder that goes when the test ends.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mox_test_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }

 private:
  std::string path_;
};

// Counts 0, 1, … `count` - 1 (for ever when count is 0), one int64 scalar a sample.
inline std::vector<Output> counting_input(const Scope& scope, int64_t count, const std::string& name = "counting") {
  using tensorflow::Node;
  const tensorflow::Scope s = scope.NewSubScope(name);
  const tensorflow::DataTypeVector types{tensorflow::DT_INT64};
  const std::vector<tensorflow::PartialTensorShape> shapes{tensorflow::PartialTensorShape({})};
  auto c = [&](int64_t v) { return ops::Const(s, v).node(); };
  Node *range, *iterator, *make, *next;
  TF_CHECK_OK(tensorflow::NodeBuilder(name + "/range", "RangeDataset")
                  .Input(c(0))
                  .Input(c(count == 0 ? int64_t{1} << 60 : count))
                  .Input(c(1))
                  .Attr("output_types", types)
                  .Attr("output_shapes", shapes)
                  .Finalize(s.graph(), &range));
  TF_CHECK_OK(tensorflow::NodeBuilder(name + "/iterator", "IteratorV2")
                  .Attr("shared_name", name)
                  .Attr("container", "")
                  .Attr("output_types", types)
                  .Attr("output_shapes", shapes)
                  .Finalize(s.graph(), &iterator));
  TF_CHECK_OK(
      tensorflow::NodeBuilder(name + "/make", "MakeIterator").Input(range).Input(iterator).Finalize(s.graph(), &make));
  TF_CHECK_OK(tensorflow::NodeBuilder(name + "/next", "IteratorGetNext")
                  .Input(iterator)
                  .Attr("output_types", types)
                  .Attr("output_shapes", shapes)
                  .Finalize(s.graph(), &next));
  TF_CHECK_OK(s.DoShapeInference(range));
  TF_CHECK_OK(s.DoShapeInference(iterator));
  TF_CHECK_OK(s.DoShapeInference(next));
  return {Output(next, 0)};
}

// x = sin(n * (1, 2, 3, 4)), y = x * (1, -2, 3, -4): a line that can be learned.
inline std::vector<Output> regression_input(const Scope& s, int64_t count) {
  Output n = ops::Cast(s, counting_input(s, count)[0], tensorflow::DT_FLOAT);
  Output x = ops::Sin(s, ops::Multiply(s, n, ops::Const(s, {1.f, 2.f, 3.f, 4.f})));
  Output y = ops::Sum(s, ops::Multiply(s, x, ops::Const(s, {1.f, -2.f, 3.f, -4.f})), 0);
  return {x, y};
}

inline ModelSpec regression_model(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  Output w = s.get_variable("w", {4, 1}, {.initializer = constant_initializer(0.1f)});
  Output b = s.get_variable("b", {1}, {.initializer = zeros_initializer()});
  Output y = ops::Squeeze(s, ops::Add(s, ops::MatMul(s, inputs[0], w), b), ops::Squeeze::Axis({1}));
  Output loss = ops::Mean(s, ops::Square(s, ops::Sub(s, y, inputs[1])), 0);
  return {.loss = loss,
          .log_info = {{"loss", loss}},
          .output_info = {{"y", y}},
          .export_spec = ExportSpec{{{"x", inputs[0]}}, {{"y", y}}}};
}

// A run of the toy model: 20 steps of 8 unless the test says otherwise.
inline RunOptions toy_options(const std::string& log_dir, int64_t steps = 20, int64_t samples = 0) {
  return {.input_fn = [samples](const Scope& s, ModeKeys) { return regression_input(s, samples); },
          .model_fn = regression_model,
          .optimizer_fn = get_optimizer_fn("sgd", 0.1),
          .batch_size = 8,
          .log_dir = log_dir,
          .max_number_of_steps = steps};
}

// The loss of every step, the mean over the devices, goes to `losses`, which must outlive the run. The flag
// log_first_clone must be off.
inline void collect_losses(RunOptions* options, std::vector<double>* losses) {
  options->output_every_n_steps = 1;
  options->model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.output_info = {{"loss", spec.loss.all()[0]}};
    return spec;
  };
  options->output_fn = [losses](const std::vector<OutputDict>& outputs) {
    double sum = 0;
    for (const OutputDict& dict : outputs) sum += dict.at("loss").scalar<float>()();
    losses->push_back(sum / static_cast<double>(outputs.size()));
  };
}

// The toy model with a second loss, of a variable of its own.
inline ModelSpec two_losses(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  ModelSpec spec = regression_model(s, inputs, mode);
  const Output v = s.get_variable("v", {1}, {.initializer = zeros_initializer()});
  spec.loss = {spec.loss.all()[0], ops::Mean(s, ops::Square(s, ops::Sub(s, v, 1.f)), 0)};
  return spec;
}

// Rows of four numbers, and one that no line fits, so that their order matters: one of its own, which a resumed
// training goes on with.
inline InputFn shuffled_rows(int64_t count = 40, int64_t seed = 3) {
  return [=](const Scope& s, ModeKeys) {
    tensorflow::Tensor x(tensorflow::DT_FLOAT, {count, 4}), y(tensorflow::DT_FLOAT, {count});
    for (int64_t i = 0; i < count; ++i) {
      y.vec<float>()(i) = static_cast<float>(i % 7) - 3;
      for (int64_t j = 0; j < 4; ++j) x.matrix<float>()(i, j) = std::sin(static_cast<float>((i + 1) * (j + 2)));
    }
    return make_tensor_dataset({{"x", x}, {"y", y}}, {}, {.shuffle = true, .seed = seed})->get(s, {"x", "y"});
  };
}

// What is logged while it lives.
class LogCapture {
 public:
  LogCapture() {
    set_log_sink([this](LogLevel level, std::string_view line) { lines_.emplace_back(line); });
  }
  ~LogCapture() { set_log_sink(nullptr); }
  const std::vector<std::string>& lines() const { return lines_; }
  bool contains(const std::string& text) const {
    for (const std::string& line : lines_)
      if (line.find(text) != std::string::npos) return true;
    return false;
  }
  std::string all() const {
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    return text;
  }

 private:
  std::vector<std::string> lines_;
};

// The message of the exception of type E that `call` throws.
template <typename E, typename F>
std::string error_of(F call) {
  try {
    call();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace mox::testing
