// Runs the input pipeline of a scope as the run loop does: feeds and initialises its iterators, then takes elements.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/graph_state.h"
#include "moxing/scope.h"
#include "tensorflow/core/public/session.h"

namespace mox::test {

class PipelineRunner {
 public:
  PipelineRunner(const Scope& scope, const std::vector<tensorflow::Output>& outputs) {
    for (const auto& output : outputs) names_.push_back(output.name());
    tensorflow::GraphDef graph;
    scope.graph()->ToGraphDef(&graph);
    graph_bytes_ = graph.ByteSizeLong();
    tensorflow::SessionOptions options;
    options.config.set_inter_op_parallelism_threads(2);
    session_.reset(tensorflow::NewSession(options));
    require(session_->Create(graph));
    std::vector<std::pair<std::string, tensorflow::Tensor>> feeds;
    for (const auto& [name, tensor] : scope.state().iterator_feeds) feeds.emplace_back(name + ":0", tensor);
    require(session_->Run(feeds, {}, scope.state().iterator_initializers, nullptr));
  }

  // False at the end of the data; any other failure throws.
  bool next() {
    const auto status = session_->Run({}, names_, {}, &values_);
    if (absl::IsOutOfRange(status)) return false;
    require(status);
    return true;
  }
  const tensorflow::Tensor& operator[](size_t i) const { return values_.at(i); }
  size_t graph_bytes() const { return graph_bytes_; }

 private:
  static void require(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(std::string(status.message()));
  }

  std::unique_ptr<tensorflow::Session> session_;
  std::vector<std::string> names_;
  std::vector<tensorflow::Tensor> values_;
  size_t graph_bytes_ = 0;
};

// What `call` throws, as text; fails the test when it throws nothing or something else.
template <typename Exception, typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Exception& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another exception: " << e.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// A folder that is removed with the test.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name = "") const { return name.empty() ? dir_ : dir_ + "/" + name; }
  // Writes the file, with its folders; returns its path.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string dir_;
};

std::string read_file(const std::string& path);
// Of this process, now.
int64_t resident_bytes();

}  // namespace mox::test
