// What a training reads: its own samples, those that it validates on, and what is told of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/classifier.h"
#include "moxing/run.h"

namespace mox::cli {

// Splits of a training.
struct TrainData {
  std::string train_split, eval_split;  // eval_split "": it does not validate
  int64_t train_samples = 0, eval_samples = 0;
  std::vector<std::string> labels;  // their names in the data; empty: not known
  // The samples to train on, open: files are unpacked, and folders listed, once. The first input takes it.
  std::shared_ptr<Dataset> opened = nullptr;
};

// Whether a training has saved something there. InvalidArgumentError when that cannot be told.
bool has_checkpoints(const std::string& train_url);

// Checks that there is something to validate on where the options ask for it, and that a training that goes on keeps
// the same images back. InvalidArgumentError before anything starts.
TrainData train_data(const ClassifierConfig& config, const RunOptions& run);

// Samples of train_split, and in mode EVAL those of eval_split with the classes of the former. `config` and `data` must
// outlive it.
InputFn train_input(const ClassifierConfig& config, TrainData& data, const std::string& train_url,
                    const AugmentationOptions& augmentation = {});

// The names of the network's classes, in their order: the run's, where it goes on, else the data's; empty: not known.
std::vector<std::string> class_names(const ClassifierConfig& config, const TrainData& data,
                                     const std::string& train_url);

// "3,671 images of 5 classes to train on (train), 734 to validate on (validation)".
std::string describe(const TrainData& data);

}  // namespace mox::cli
