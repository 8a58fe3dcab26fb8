// A small model on synthetic data for the tests of the run loop: linear regression whose input can be repeated.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

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
