// Models of TensorFlow Lite, made and run by an installed Python (moxing/quantize.py): mox export --quantize, mox eval.
#pragma once

#include <cstdint>
#include <string>

#include "engine/classifier.h"
#include "python.h"

namespace mox::cli {

// Whether the name is a .tflite file's.
bool is_lite_model(const std::string& url);

enum class LiteNeed { kInterpreter, kConverter };
// NotFoundError when the Python that find_python() takes has not got it; `what` needs it, for the error.
void check_lite_python(LiteNeed need, const std::string& what);

class LiteModel {
 public:
  // What is in a file that mox export made. DataError when it is none of TensorFlow Lite.
  LiteModel(const ClassifierConfig& config, const std::string& path);
  // Made of a SavedModel on a local disk: `to` int8, which finds its ranges by so many batches, or float16.
  LiteModel(const ClassifierConfig& config, const std::string& saved_model, const std::string& to, int64_t batches);

  void calibrate(const tensorflow::Tensor& images);
  // Of a model that is made here, after calibration: the file.
  std::string content();
  // What classifier_model says of a batch in EVAL, for these `images` and `labels`. The loss is that of the logits.
  OutputDict evaluate(const OutputDict& batch);

 private:
  void send(const tensorflow::Tensor& images);

  const int64_t num_classes_;
  PythonProcess python_;
};

}  // namespace mox::cli
