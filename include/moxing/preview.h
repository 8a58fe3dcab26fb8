// A picture of what training sees.
#pragma once

#include <cstdint>
#include <string>

#include "moxing/export.h"
#include "moxing/mixing.h"
#include "moxing/mode_keys.h"
#include "moxing/preprocessing.h"

namespace mox {

struct PreviewOptions {
  std::string model_name;               // whose augmentation is shown
  std::string data_url;                 // TFRecord files or class folders
  std::string file_pattern;             // e.g. train-*; default: *.tfrecord where data_url has such files
  std::string dataset_name;             // a built-in data set in data_url instead, …
  std::string split = "train";          // … and its split
  std::string output_url;               // a PNG file
  ModeKeys run_mode = ModeKeys::TRAIN;  // TRAIN: random augmentation; EVAL: what evaluation sees
  int64_t rows = 4;
  int64_t columns = 8;
  int image_size = 0;                     // pixels a side; 0: the network's default
  int64_t seed = 1;                       // of the choice and the augmentation
  int64_t max_broken_samples = 0;         // as in ImageDatasetOptions
  AugmentationOptions augmentation = {};  // of TRAIN
  MixOptions mix = {};                    // the picture is one batch; labels tell the shares
};

// Draws rows x columns augmented samples with their labels below, each stretched to the whole range of grey levels, and
// writes them as one PNG. A data set with fewer samples leaves the rest of the picture black. InvalidArgumentError for
// options that do not fit, or a picture that memory cannot hold; errors of the data set as its own.
MOX_EXPORT void preview_dataset(const PreviewOptions& options);

}  // namespace mox
