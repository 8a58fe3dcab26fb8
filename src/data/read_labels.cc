#include "data/read_labels.h"

#include <memory>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "tensorflow/core/public/session.h"

namespace mox::data {

namespace tf = tensorflow;

void for_each_label(Dataset& dataset, const std::string& name, const std::function<void(int64_t label)>& each) {
  const Scope scope = Scope::new_root();
  const tf::Output label = dataset.get(scope, {"label"})[0];
  const std::string what = "reading the labels of " + name;
  check(scope, what);
  const GraphState& state = scope.state();
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  throw_if_error(session->Create(state.to_graph_def()), what);
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (const auto& [placeholder, tensor] : state.iterator_feeds) feeds.emplace_back(placeholder + ":0", tensor);
  throw_if_error(session->Run(feeds, {}, state.iterator_initializers, nullptr), what);
  for (std::vector<tf::Tensor> out;;) {
    const absl::Status status = session->Run({}, {label.name()}, {}, &out);
    if (absl::IsOutOfRange(status)) return;
    throw_if_error(status, what);
    each(out[0].scalar<int64_t>()());
  }
}

}  // namespace mox::data
