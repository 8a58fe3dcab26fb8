// Runs a graph that a test built, in one session.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moxing/scope.h"
#include "tensorflow/core/public/session.h"

namespace mox::testing {

class GraphRun {
 public:
  // The graph as it is now, its variables initialised.
  explicit GraphRun(const Scope& scope) {
    check(scope, "the test's graph");
    tensorflow::GraphDef def;
    expect_ok(scope.ToGraphDef(&def));
    tensorflow::SessionOptions options;
    options.config.set_intra_op_parallelism_threads(1);
    options.config.set_inter_op_parallelism_threads(1);
    session_.reset(tensorflow::NewSession(options));
    expect_ok(session_->Create(def));
    std::vector<std::string> initializers;
    for (const Variable& variable : global_variables(scope))
      initializers.push_back(variable.initializer.node()->name());
    if (!initializers.empty()) expect_ok(session_->Run({}, {}, initializers, nullptr));
  }

  std::vector<tensorflow::Tensor> fetch(const std::vector<tensorflow::Output>& outputs) {
    std::vector<std::string> names;
    for (const auto& output : outputs) names.push_back(output.name());
    std::vector<tensorflow::Tensor> tensors;
    expect_ok(session_->Run(feeds_, names, {}, &tensors));
    return tensors;
  }

  std::vector<float> fetch_floats(const tensorflow::Output& output) {
    const tensorflow::Tensor tensor = fetch({output}).at(0);
    auto flat = tensor.flat<float>();
    return {flat.data(), flat.data() + flat.size()};
  }

  void run(const std::vector<tensorflow::Operation>& operations) {
    std::vector<std::string> names;
    for (const auto& operation : operations) names.push_back(operation.node()->name());
    expect_ok(session_->Run(feeds_, {}, names, nullptr));
  }

  // Used by every later call.
  void feed(const tensorflow::Output& placeholder, const tensorflow::Tensor& value) {
    for (auto& [name, tensor] : feeds_)
      if (name == placeholder.name()) {
        tensor = value;
        return;
      }
    feeds_.emplace_back(placeholder.name(), value);
  }

 private:
  static void expect_ok(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(std::string(status.message()));
  }

  std::unique_ptr<tensorflow::Session> session_;
  std::vector<std::pair<std::string, tensorflow::Tensor>> feeds_;
};

}  // namespace mox::testing
