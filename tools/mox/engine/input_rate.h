// How fast a data set of images is read, as a run reads it.
#pragma once

#include <cstdint>
#include <string>

#include "moxing/image_dataset.h"
#include "moxing/mode_keys.h"

namespace mox::cli {

struct InputRow {
  bool records = false;             // TFRecord files; else class folders
  bool bytes = false;               // of class folders: the files as they are
  std::string augmentation = "";    // the preprocessing of a network in `mode`; "": decoded and resized alone
  ModeKeys mode = ModeKeys::TRAIN;  // of the augmentation
  std::string url = "";
  std::string cache_dir = "";     // "": none
  std::string cache = "encoded";  // what it keeps: encoded, or of class folders decoded
  ImageSize size = {224, 224};
  int64_t batch_size = 32;
};

struct InputRate {
  int64_t images = 0;  // that were timed
  double seconds = 0, cpu_seconds = 0;
};

// Reads three epochs and times the second: at its end as many samples are read ahead as at its begin, a cache is filled
// and the threads run. Errors as the data sets'.
InputRate measure_input(const InputRow& row);

}  // namespace mox::cli
