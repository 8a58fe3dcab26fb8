// The photographs and the expected values of make_expected.py.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json_text.h"
#include "graph/graph_state.h"
#include "moxing/preprocessing.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::testing {

inline const nlohmann::json& expected_images() {
  static std::ifstream file(MOX_PREPROCESS_TEST_DIR "/expected.json");
  static const auto data = parse_json({std::istreambuf_iterator<char>(file), {}});
  return data;
}

// Decoded bytes [height, width, 3].
inline tensorflow::Tensor photo(const std::string& name) {
  namespace ops = tensorflow::ops;
  Scope scope = Scope::new_root();
  const auto bytes = ops::ReadFile(scope, std::string(MOX_PREPROCESS_TEST_DIR "/data/") + name);
  const tensorflow::Output image = ops::DecodeJpeg(scope, bytes, ops::DecodeJpeg::Channels(3));
  return GraphRun(scope).fetch({image}).at(0);
}

inline tensorflow::Tensor as_float(const tensorflow::Tensor& bytes, float scale) {
  tensorflow::Tensor result(tensorflow::DT_FLOAT, bytes.shape());
  for (int64_t i = 0; i < bytes.NumElements(); ++i)
    result.flat<float>()(i) = static_cast<float>(bytes.flat<uint8_t>()(i)) * scale;
  return result;
}

// A graph that augments an image which is fed; its sizes are not known while it is built.
class Augmentation {
 public:
  Augmentation(const AugmentationFn& fn, tensorflow::DataType dtype, int channels = 3, int64_t seed = 0) {
    scope_.state().seed = seed;
    image_ = tensorflow::ops::Placeholder(scope_, dtype, tensorflow::ops::Placeholder::Shape({-1, -1, channels}));
    result_ = fn(scope_, image_);
    run_ = std::make_unique<GraphRun>(scope_);
  }

  tensorflow::Tensor operator()(const tensorflow::Tensor& image) {
    run_->feed(image_, image);
    return run_->fetch({result_}).at(0);
  }
  std::vector<int64_t> shape() const { return static_shape(scope_, result_); }

 private:
  Scope scope_ = Scope::new_root();
  tensorflow::Output image_, result_;
  std::unique_ptr<GraphRun> run_;
};

}  // namespace mox::testing
