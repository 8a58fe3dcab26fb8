// mox export --quantize: an exported model for TensorFlow Lite, by the converter of an installed TensorFlow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/classifier.h"

namespace mox::cli {

struct QuantizeOptions {
  std::string to;              // int8 or float16
  std::string checkpoint_url;  // what was exported
  bool use_ema = false;
  int64_t calibration = 200;  // images of the training by which int8 finds its ranges
};

struct Quantized {
  std::string path;  // of the .tflite file
  double accuracy_before = 0, accuracy_after = 0;
  int64_t samples = 0;
  std::string split;
  int64_t bytes_before = 0, bytes_after = 0;  // of the weights in the SavedModel, of the file
};

// InvalidArgumentError, NotFoundError: there is nothing to measure the accuracy on, or no Python with the converter.
void check_quantize(const ClassifierConfig& config);
// Writes export_dir/model_TO.tflite and beside it what `mox eval` needs to read it, and evaluates both models on the
// split that `mox eval` takes.
Quantized quantize(const ClassifierConfig& config, const std::string& export_dir, const QuantizeOptions& options);

}  // namespace mox::cli
