#include "data/label_classes.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "data/pipeline.h"
#include "graph/graph_state.h"
#include "moxing/error.h"

namespace mox::data {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

std::vector<std::string> numbers(int64_t first, int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(std::to_string(first + i));
  return names;
}

std::vector<std::string> from(const std::vector<std::string>& labels, int64_t offset) {
  return {labels.begin() + std::min<int64_t>(offset, static_cast<int64_t>(labels.size())), labels.end()};
}

void check_distinct_names(const std::vector<std::string>& names, const char* whose) {
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    throw InvalidArgumentError("the data's classes are not in the order of the run's, and cannot be found by name: '" +
                               *twice + "' is there twice in " + whose +
                               " list; give the data the labels.txt that the run was trained with");
}

}  // namespace

std::vector<std::string> classes_of_labels(const std::vector<std::string>& labels, int64_t labels_offset,
                                           int64_t num_classes) {
  if (labels.empty()) return labels_offset > 0 ? numbers(labels_offset, num_classes) : std::vector<std::string>();
  const std::vector<std::string> classes = from(labels, labels_offset);
  if (static_cast<int64_t>(classes.size()) > num_classes)
    throw InvalidArgumentError(
        "num_classes is " + std::to_string(num_classes) + ", but the data names " + std::to_string(labels.size()) +
        " labels" +
        (labels_offset > 0 ? ", of which labels_offset leaves out " + std::to_string(labels_offset) : std::string()) +
        ": expected num_classes " + std::to_string(classes.size()) + "; leave it out to take the data's");
  return classes;
}

LabelMap map_labels(const std::vector<std::string>& labels, int64_t labels_offset, int64_t num_classes,
                    const std::vector<std::string>& run) {
  LabelMap map{.labels = labels, .names = run, .labels_offset = labels_offset, .num_labels = std::ssize(labels)};
  const bool run_has_names = !run.empty() && !(labels_offset > 0 && run == numbers(labels_offset, num_classes));
  if (labels.empty() || !run_has_names || from(labels, labels_offset) == run) {
    const auto own = classes_of_labels(labels, labels_offset, num_classes);
    if (!run_has_names) map.names = own;
    if (labels.empty()) map.num_labels = labels_offset + num_classes;
    return map;
  }
  check_distinct_names(run, "the run's");
  check_distinct_names(labels, "the data's");
  std::map<std::string, int64_t> classes;
  for (size_t i = 0; i < run.size(); ++i) classes.emplace(run[i], static_cast<int64_t>(i));
  for (const std::string& name : labels) {
    const auto found = classes.find(name);
    map.classes.push_back(found == classes.end() ? -1 : found->second);
  }
  map.by_name = true;
  return map;
}

tf::Output class_of_label(const Scope& scope, const tf::Output& label, const tf::Output& name, const std::string& where,
                          const LabelMap& map) {
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("class_of_label"), "MoxClassOfLabel");
  const tf::Output named = name.node() ? name : tf::Output(ops::Const(scope, tf::Input::Initializer(where)));
  builder.Input(label.node(), label.index())
      .Input(named.node(), named.index())
      .Attr("sample", name.node() ? "image " : "")
      .Attr("label_names", map.labels)
      .Attr("class_names", map.names)
      .Attr("labels_offset", map.labels_offset)
      .Attr("num_labels", map.num_labels)
      .Attr("by_name", map.by_name)
      .Attr("classes", map.classes);
  return tf::Output(add_node(scope, builder), 0);
}

}  // namespace mox::data
