#include "engine/train_data.h"

#include <fmt/format.h>

#include <utility>

#include "data/label_classes.h"
#include "data/names.h"
#include "engine/classifier_data.h"
#include "moxing/error.h"
#include "run/checkpoint_state.h"

namespace mox::cli {
namespace {

bool validates(const RunOptions& run) { return run.eval_every_n_epochs > 0 || run.eval_every_n_steps > 0; }

// Of a training that goes on: whoever trains on what it validated on measures nothing any more.
void check_split_of_run(const ClassifierConfig& config, const std::string& train_url) {
  if (!config.dataset_name.empty() || !has_checkpoints(train_url)) return;
  const ValidationSplit split = read_split(train_url);
  if (split.images.empty() || (split.part == config.validation_split && split.seed == config.validation_seed)) return;
  throw InvalidArgumentError(fmt::format(
      "the training in {} keeps {} of its images back ({}): go on with --validation_split={} --validation_seed={}, or "
      "use another --train_url",
      train_url, split.images.size(), kSplitFile, split.part, split.seed));
}

}  // namespace

bool has_checkpoints(const std::string& train_url) try {
  return !checkpoints_in(train_url).empty();
} catch (const Error& e) {
  throw InvalidArgumentError(fmt::format("--train_url '{}' cannot be read: {}", train_url, e.what()));
}

TrainData train_data(const ClassifierConfig& config, const RunOptions& run) {
  const ClassifierData data(config);
  data.check_validation_split();
  check_split_of_run(config, run.log_dir);
  TrainData result;
  result.train_split = data.train_split();
  result.opened = data.open(result.train_split, ModeKeys::TRAIN);
  result.train_samples =
      config.dataset_name.empty() ? result.opened->num_samples() : data.num_samples(result.train_split);
  result.labels = result.opened->class_names();
  if (!validates(run)) return result;
  result.eval_split = data.eval_split();
  if (data.is_trained_on(result.eval_split))
    throw InvalidArgumentError(
        fmt::format("there is nothing to validate on: {} has no folder eval, validation, val or test; give "
                    "--validation_split=0.2 to keep a part of the images back",
                    config.data_url));
  result.eval_samples = data.num_samples(result.eval_split);
  if (result.eval_samples == 0)
    throw InvalidArgumentError("there is nothing to validate on: " + data.name(result.eval_split) + " has no samples");
  return result;
}

InputFn train_input(const ClassifierConfig& config, TrainData& data, const std::string& train_url,
                    const AugmentationOptions& augmentation) {
  // The training's is built first: its list of classes is the run's.
  auto names = std::make_shared<std::vector<std::string>>();
  return [&config, &data, train_url, augmentation, names](const Scope& s, ModeKeys mode) {
    if (mode != ModeKeys::TRAIN) return classifier_input(config, data.eval_split, *names)(s, mode);
    *names = class_names_of_training(config, train_url);
    const std::shared_ptr<Dataset> opened = std::exchange(data.opened, nullptr);
    auto inputs = classifier_input(config, data.train_split, *names, augmentation, opened)(s, mode);
    if (names->empty()) *names = class_names(config, data, train_url);
    return inputs;
  };
}

std::vector<std::string> class_names(const ClassifierConfig& config, const TrainData& data,
                                     const std::string& train_url) {
  const std::vector<std::string> names = class_names_of_training(config, train_url);
  if (!names.empty()) return names;
  return data::classes_of_labels(data.labels, config.labels_offset, config.num_classes);
}

std::string describe(const TrainData& data) {
  std::string text = data::with_commas(data.train_samples) + " images";
  if (!data.labels.empty())
    text += fmt::format(" of {} classes", data::with_commas(static_cast<int64_t>(data.labels.size())));
  text += fmt::format(" to train on (split {})", data.train_split);
  if (!data.eval_split.empty())
    text += fmt::format(", {} to validate on (split {})", data::with_commas(data.eval_samples), data.eval_split);
  return text;
}

}  // namespace mox::cli
