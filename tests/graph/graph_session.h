// Runs a graph of a mox::Scope in tests: variables initialised, tensors fetched.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "moxing/scope.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

namespace mox {

class GraphSession {
 public:
  using Feeds = std::vector<std::pair<std::string, tensorflow::Tensor>>;

  // `optimize`: with TensorFlow's graph optimizers, as in a real run; off, large graphs start faster.
  explicit GraphSession(const Scope& scope, bool initialize = true, bool optimize = true) {
    tensorflow::GraphDef def;
    EXPECT_TRUE(scope.ToGraphDef(&def).ok());
    tensorflow::SessionOptions options;
    if (!optimize) {
      auto* rewrite = options.config.mutable_graph_options()->mutable_rewrite_options();
      rewrite->set_disable_meta_optimizer(true);
      options.config.mutable_graph_options()->mutable_optimizer_options()->set_opt_level(
          tensorflow::OptimizerOptions::L0);
    }
    session_.reset(tensorflow::NewSession(options));
    auto status = session_->Create(def);
    EXPECT_TRUE(status.ok()) << status.message();
    if (!initialize) return;
    std::vector<std::string> initializers;
    for (const Variable& v : global_variables(scope)) initializers.push_back(v.initializer.node()->name());
    if (!initializers.empty()) run({}, {}, initializers);
  }

  std::vector<tensorflow::Tensor> run(const std::vector<tensorflow::Output>& fetches, const Feeds& feeds = {},
                                      const std::vector<std::string>& targets = {}) {
    std::vector<std::string> names;
    for (const auto& f : fetches) names.push_back(f.name());
    std::vector<tensorflow::Tensor> results;
    auto status = session_->Run(feeds, names, targets, fetches.empty() ? nullptr : &results);
    EXPECT_TRUE(status.ok()) << status.message();
    return results;
  }
  tensorflow::Tensor run_one(const tensorflow::Output& fetch, const Feeds& feeds = {}) {
    auto results = run({fetch}, feeds);
    return results.empty() ? tensorflow::Tensor(tensorflow::DT_FLOAT, {0}) : results[0];
  }

 private:
  std::unique_ptr<tensorflow::Session> session_;
};

// The same numbers for the same seed.
inline tensorflow::Tensor random_tensor(const tensorflow::TensorShape& shape, int seed, float low = -1,
                                        float high = 1) {
  tensorflow::Tensor tensor(tensorflow::DT_FLOAT, shape);
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  auto flat = tensor.flat<float>();
  for (int64_t i = 0; i < flat.size(); ++i) flat(i) = uniform(engine);
  return tensor;
}

inline double max_abs(const tensorflow::Tensor& t) {
  double largest = 0;
  auto flat = t.flat<float>();
  for (int64_t i = 0; i < flat.size(); ++i) largest = std::max(largest, std::fabs(static_cast<double>(flat(i))));
  return largest;
}

// max |a - b| / max |b|.
inline double relative_difference(const tensorflow::Tensor& a, const tensorflow::Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  if (a.shape() != b.shape()) return 1e30;
  double difference = 0;
  auto x = a.flat<float>(), y = b.flat<float>();
  for (int64_t i = 0; i < x.size(); ++i) difference = std::max(difference, std::fabs(static_cast<double>(x(i)) - y(i)));
  return difference / std::max(max_abs(b), 1e-30);
}

}  // namespace mox
