// A built-in network on a built-in data set or own images: what train, eval, predict and export share. Its
// configuration is written beside the checkpoints (run.json), so that the later commands need only the folder.
#pragma once

#include <string>
#include <vector>

#include "command_line.h"
#include "data/label_classes.h"
#include "moxing/moxing.h"

namespace mox::cli {

struct ClassifierConfig {
  std::string model_name;
  std::string dataset_name;  // "": data_url holds own images
  std::string data_url;      // folder of the data set
  int64_t num_classes = 0;   // 0: the data set's
  int64_t channels = 0;      // of the images; 0: the data set's
  int image_size = 0;        // pixels a side; 0: the network's default
  // Class k of the network is label k + labels_offset of the data; -1: the network's for imagenet, else 0. What labels
  // are to a network is told in one place: data/label_classes.h.
  int64_t labels_offset = -1;
  std::string data_format = "NHWC";
  bool batch_norm_fused = true;
  float batch_norm_decay = 0;      // 0: the network's own
  std::string preprocessing_name;  // a network's name; "": model_name
  float weight_decay = 0;
  float label_smoothing = 0;
  std::string dtype = "float32";   // of the computation; variables, softmax and loss stay float32
  int64_t max_broken_samples = 0;  // of images and TFRecord files: so many may be left out
  std::string cache_dir;           // of the same: the first epoch fills it, later ones and other runs read it
  std::string cache = "encoded";   // what it keeps
  std::string alpha = "drop";      // of transparent images, see the data sets' option
  double validation_split = 0;     // of each class of own images: not trained on, but validated on; 0: none
  int64_t validation_seed = 0;     // which of them
  std::string split_dir;           // the run's folder, which may have the list of those; no part of run.json
};

// --model_name, --dataset_name, --data_url and the other fields.
void add_classifier_flags(CommandLine& app, ClassifierConfig* config);
// Fills what was left to the network's and the data set's defaults. Errors that list the known names.
void complete(ClassifierConfig* config);

// dir/run.json
void write_config(const ClassifierConfig& config, const std::string& dir);
// What run.json beside a checkpoint (a folder or a prefix) says; the defaults when there is none.
ClassifierConfig read_config(const std::string& checkpoint_url);

// The network whose preprocessing is used.
const std::string& preprocessing_of(const ClassifierConfig& config);

// The value of --checkpoint_url in `args`, "" when it is not there: run.json gives the defaults of the other flags.
std::string peek_checkpoint_url(const std::vector<std::string>& args);

// The folder of a checkpoint that is given as a folder or a prefix.
std::string checkpoint_folder(const std::string& checkpoint_url);

// The names of the network's classes, in their order: those of labels.txt beside a checkpoint, else the data set's;
// empty when neither knows them. DataError when labels.txt has more names than the network has classes.
std::vector<std::string> class_names_of(const ClassifierConfig& config, const std::string& checkpoint_url);
// The same for a training that may go on in train_url: empty when it has no checkpoint or no labels.txt. A list with
// the names below labels_offset, as older versions left it, is put right.
std::vector<std::string> class_names_of_training(const ClassifierConfig& config, const std::string& train_url);
// When a training begins whose data has no names: a list that one left whose checkpoints are gone is removed. What lies
// in train_url without a run.json is the user's, and stays.
void forget_names_of_removed_run(const ClassifierConfig& config, const std::string& train_url);

// What a training does to its samples beside what the network's preprocessing does by itself, and to its loss.
struct Recipe {
  AugmentationOptions augmentation = {};
  MixOptions mix = {};
  std::vector<float> class_weights = {};  // one a class; empty: all count the same
};

// What the labels of `dataset` are to the run's classes.
data::LabelMap label_map(const ClassifierConfig& config, const Dataset& dataset, ModeKeys mode,
                         const std::vector<std::string>& run_classes);

// Grey to colour by repeating, colour to grey by luminance (ITU-R 601).
tensorflow::Output with_channels(const Scope& scope, const tensorflow::Output& image, int64_t channels);
// An image as data sets deliver it, [height, width, 1 or 3] of uint8, as the network takes it.
tensorflow::Output classifier_image(const Scope& scope, const ClassifierConfig& config, const tensorflow::Output& image,
                                    ModeKeys mode, const AugmentationOptions& augmentation = {});
// One sample: augmented image, class. `run_classes`: the names of the run's classes, by which those of the data are
// found; empty for a new run. `opened`: the split, where it is open already.
InputFn classifier_input(const ClassifierConfig& config, const std::string& split,
                         const std::vector<std::string>& run_classes, const AugmentationOptions& augmentation = {},
                         std::shared_ptr<Dataset> opened = nullptr);
// The scope's network on images, computed in config.dtype: logits, float32.
tensorflow::Output classifier_logits(const Scope& scope, const ClassifierConfig& config,
                                     const tensorflow::Output& images, ModeKeys mode);
// Loss with regularisation, accuracy; output_info: logits, probabilities, and in EVAL what exact metrics and the report
// need. TRAIN heeds the recipe's mix and class weights.
// EXPORT has a second signature, serving_bytes, of image files; its classes have the names of `class_names`, as far as
// these are known.
ModelFn classifier_model(const ClassifierConfig& config, const Recipe& recipe = {},
                         const std::vector<std::string>& class_names = {});

}  // namespace mox::cli
