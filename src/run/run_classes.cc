#include "run/run_classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/labels_file.h"
#include "moxing/class_names.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_state.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {
namespace {

using Names = std::vector<std::string>;

// Those of `names` that `others` lacks.
Names only_in(const Names& names, const Names& others) {
  const std::set<std::string> there(others.begin(), others.end());
  Names only;
  std::copy_if(names.begin(), names.end(), std::back_inserter(only),
               [&](const auto& name) { return !there.count(name); });
  return only;
}

// "the run alone has 'a'; the data alone has 'b'"; of the same names the first that stands elsewhere.
std::string differences(const Names& run, const Names& data) {
  const Names only_run = only_in(run, data), only_data = only_in(data, run);
  std::string text;
  if (!only_run.empty()) text += "the run alone has " + data::quoted_names(only_run);
  if (!only_data.empty()) text += (text.empty() ? "" : ", ") + ("the data alone has " + data::quoted_names(only_data));
  if (!text.empty()) return text;
  const size_t i =
      std::mismatch(run.begin(), run.begin() + std::min(run.size(), data.size()), data.begin()).first - run.begin();
  const auto name = [&](const Names& names) { return i < names.size() ? "'" + names[i] + "'" : "missing"; };
  return fmt::format("the order differs: class {} is {} of the run and {} of the data", i, name(run), name(data));
}

}  // namespace

void check_run_classes(const BuiltGraph& graph, const RunConfig& config) {
  if (graph.class_names.empty() || (config.run_mode != ModeKeys::TRAIN && config.run_mode != ModeKeys::EVAL)) return;
  std::string dir = config.log_dir;
  if (dir.empty() || checkpoints_in(dir).empty()) {
    if (config.run_mode == ModeKeys::TRAIN || config.checkpoint_path.empty()) return;  // a new run
    const bool is_folder = tensorflow::Env::Default()->IsDirectory(config.checkpoint_path).ok();
    dir = is_folder ? config.checkpoint_path : std::string(tensorflow::io::Dirname(config.checkpoint_path));
  }
  const Names run = read_class_names(dir);
  if (run.empty())
    log_warning(fmt::format(
        "the run in {} has no labels.txt: the data's classes are taken in the data's order, which is right only where "
        "the training began with the same list",
        dir));
  if (run.empty() || run == graph.class_names) return;
  throw InvalidArgumentError(fmt::format(
      "the run in {} has other classes (labels.txt, {}) than the data ({}): {}; {}", dir, run.size(),
      graph.class_names.size(), differences(run, graph.class_names),
      config.run_mode == ModeKeys::TRAIN
          ? "go on with data of the same classes, or train in another log_dir"
          : "evaluate on data with the same list (an empty folder is a class, labels.txt tells the order)"));
}

void check_same_run_classes(const Names& training, const Names& other, const std::string& what) {
  if (training.empty() || other.empty() || training == other) return;
  throw InvalidArgumentError(
      fmt::format("the data of {} has other classes than that of the training: {}; give both the "
                  "same list (an empty folder is a class, labels.txt tells the order)",
                  what, differences(training, other)));
}

}  // namespace mox
