// mox predict
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "base/limits.h"
#include "base/text.h"
#include "base/url.h"
#include "command_line.h"
#include "data/decode_image.h"
#include "data/image_pipeline.h"
#include "data/storage.h"
#include "engine/classifier.h"
#include "engine/entry.h"
#include "engine/npy.h"
#include "engine/option_flags.h"
#include "engine/predict_output.h"
#include "moxing/file_stream.h"
#include "tensorflow/cc/ops/io_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::cli {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;

namespace {

struct PredictFlags {
  ClassifierConfig classifier;
  std::string checkpoint_url, output_url, preprocess = "default", values = "probabilities";
  std::vector<std::string> inputs;
  RunOptions run{.run_mode = ModeKeys::PREDICT, .batch_size = 32, .log_every_n_steps = 0};
  int top_k = 1;
  bool json = false;
};

bool begins_as_image(const std::string& path) {
  // A pipe would be waited for.
  if (!has_scheme(path) && !std::filesystem::is_regular_file(path)) return false;
  file::File file(path, "rb");
  return data::image_format(file.read(16)) != data::ImageFormat::kUnknown;
}

bool has_ending(const std::string& path, std::initializer_list<const char*> endings) {
  const std::string lower = lower_case(path);
  return std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) {
    return lower.size() >= ending.size() && lower.compare(lower.size() - ending.size(), ending.size(), ending) == 0;
  });
}

// The images of a folder and those below it, as data sets take them: by the ending of the name; where it has none, by
// the content. Hidden files and folders are left out.
std::vector<std::string> images_below(const std::string& folder) {
  const std::string prefix = folder + (folder.back() == '/' ? "" : "/");
  std::vector<std::string> found = file::list_directory(folder, {.recursive = true, .skip_dir = true}), images;
  std::sort(found.begin(), found.end());
  for (const std::string& name : found) {
    if (name[0] == '.' || name.find("/.") != std::string::npos) continue;
    const bool has_dot = name.find('.', name.rfind('/') + 1) != std::string::npos;
    if (has_dot ? data::has_image_extension(name) : begins_as_image(prefix + name)) images.push_back(prefix + name);
  }
  return images;
}

Samples gather(const std::vector<std::string>& inputs) {
  Samples samples;
  for (const std::string& input : inputs) {
    if (has_ending(input, {".npy"})) {
      if (inputs.size() > 1)
        throw InvalidArgumentError(input + ": an array is predicted alone, not together with other inputs");
      samples.array = read_npy(input);
      if (samples.array.dims() != 4)
        throw InvalidArgumentError(input + " has shape " + samples.array.shape().DebugString() +
                                   ", expected [N, height, width, channels]");
    } else if (file::is_directory(input)) {
      const std::vector<std::string> images = images_below(input);
      samples.paths.insert(samples.paths.end(), images.begin(), images.end());
    } else if (file::exists(input)) {
      samples.paths.push_back(input);
    } else {
      throw NotFoundError("there is no image, folder or array " + input);
    }
  }
  if (samples.size() == 0)
    throw InvalidArgumentError(
        "no image to predict: give image files, folders with images (.jpg, .jpeg, .jpe, .jfif, .png, .bmp, .gif or "
        ".webp), or a .npy array");
  return samples;
}

// Samples `first` to the end, in order; of an array all.
InputFn samples_input(const PredictFlags& f, const Samples& samples, int64_t first) {
  return [&f, &samples, first](const Scope& s, ModeKeys mode) {
    const ClassifierConfig& c = f.classifier;
    Output image;
    if (samples.paths.empty()) {
      image = make_tensor_dataset({{"image", samples.array}}, {}, {.num_epochs = 1})->get(s, {"image"})[0];
    } else {
      tf::Tensor paths(tf::DT_STRING, {samples.size() - first});
      for (int64_t i = first; i < samples.size(); ++i) paths.flat<tf::tstring>()(i - first) = samples.paths[i];
      const Output path = make_tensor_dataset({{"path", paths}}, {}, {.num_epochs = 1})->get(s, {"path"})[0];
      image = data::decode(s, ops::ReadFile(s, path), path, std::nullopt, /*apply_exif=*/false, 3, c.alpha);
    }
    if (f.preprocess == "none")
      return std::vector<Output>{ops::Cast(s, with_channels(s, image, c.channels), tf::DT_FLOAT)};
    return std::vector<Output>{classifier_image(s, c, image, mode)};
  };
}

// Pooling and relu make numbers of what is none, and so a class.
template <typename T>
void check_finite(const tf::Tensor& array) {
  const auto values = array.flat<T>();
  const int64_t size = values.size();
  const T* bad = std::find_if_not(values.data(), values.data() + size,
                                  [](T value) { return std::isfinite(static_cast<double>(value)); });
  if (bad != values.data() + size)
    throw DataError(fmt::format("sample {} of the array has a {}, expected finite numbers",
                                (bad - values.data()) / (size / array.dim_size(0)), static_cast<double>(*bad)));
}

void check_array(const PredictFlags& f, const Samples& samples) {
  if (!samples.paths.empty()) return;
  const ClassifierConfig& c = f.classifier;
  const auto& a = samples.array;
  if (a.dim_size(3) != c.channels)
    throw InvalidArgumentError(fmt::format("the array has {} channels (shape {}), {} was trained with {}",
                                           a.dim_size(3), a.shape().DebugString(), c.model_name, c.channels));
  if (f.preprocess != "none" && a.dtype() != tf::DT_UINT8 && a.dtype() != tf::DT_FLOAT)
    throw InvalidArgumentError(
        fmt::format("the array is of {}, expected uint8 or float32: a.astype('float32'), or --preprocess=none",
                    tf::DataTypeString(a.dtype())));
  if (a.dtype() == tf::DT_FLOAT) check_finite<float>(a);
  if (a.dtype() == tf::DT_DOUBLE) check_finite<double>(a);
  if (a.dtype() == tf::DT_HALF) check_finite<Eigen::half>(a);
  if (f.preprocess == "none" && (a.dim_size(1) != c.image_size || a.dim_size(2) != c.image_size))
    throw InvalidArgumentError(fmt::format("with --preprocess=none the array must be [N,{0},{0},{1}], it is {2}",
                                           c.image_size, c.channels, a.shape().DebugString()));
}

// Fills [N, classes] from sample `done` on; `done` counts what has arrived.
RunResult predict(const PredictFlags& f, const Samples& samples, int64_t batch_size, tf::Tensor* scores,
                  int64_t* done) {
  RunOptions options = f.run;
  options.input_fn = samples_input(f, samples, *done);
  options.model_fn = classifier_model(f.classifier);
  options.batch_size = batch_size;
  options.checkpoint_path = f.checkpoint_url;
  options.samples_per_epoch = samples.size() - *done;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) {
      const tf::Tensor& rows = dict.at(f.values);
      const auto values = rows.flat<float>();
      std::copy_n(values.data(), values.size(), scores->flat<float>().data() + *done * f.classifier.num_classes);
      *done += rows.dim_size(0);
    }
  };
  return run(options);
}

// A class would be named all the same: of values that are no numbers, the first.
void check_finite(const PredictFlags& f, const Samples& samples, const tf::Tensor& scores,
                  const std::string& checkpoint) {
  const auto values = scores.flat<float>();
  for (int64_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values(i)))
      throw RunError(fmt::format(
          "{} {} cannot be predicted: the network's output is {} for it. Either what is fed is no number, or the "
          "checkpoint {} has weights, or moving averages of a training too short for them (--batch_norm_decay), that "
          "lead to none",
          samples.paths.empty() ? "sample" : "image", samples.name(i / f.classifier.num_classes),
          std::isnan(values(i)) ? "nan" : "infinite", checkpoint));
}

// Takes the files out that are no image, and names each. Returns how many.
int64_t take_out_broken(Samples* samples, int64_t first) {
  std::vector<std::string> good(samples->paths.begin(), samples->paths.begin() + first);
  for (size_t i = static_cast<size_t>(first); i < samples->paths.size(); ++i) {
    const std::string& path = samples->paths[i];
    std::string content;
    absl::Status status = tf::ReadFileToString(tf::Env::Default(), path, &content);
    std::vector<uint8_t> pixels;
    if (status.ok())
      status = data::decode_image(content, {}, [&](int64_t height, int64_t width) {
        pixels.resize(static_cast<size_t>(height * width * 3));
        return pixels.data();
      });
    if (status.ok())
      good.push_back(path);
    else
      log_error(fmt::format("image {} is left out: {}", path, std::string(status.message())));
  }
  const auto taken = static_cast<int64_t>(samples->paths.size() - good.size());
  samples->paths = std::move(good);
  return taken;
}

// Files that cannot be read are taken out of `samples`; `left_out` counts them.
tf::Tensor predict_all(const PredictFlags& f, Samples* samples, int64_t* left_out) {
  tf::Tensor scores(tf::DT_FLOAT, {samples->size(), f.classifier.num_classes});
  int64_t done = 0;
  RunResult result;
  try {
    result = predict(f, *samples, f.run.batch_size, &scores, &done);
  } catch (const RunError&) {
    if (samples->paths.empty() || num_workers() > 1) throw;
    *left_out = take_out_broken(samples, done);
    if (*left_out == 0) throw;
    if (samples->size() == 0) throw DataError("no image of those that are given can be read");
    if (done < samples->size()) result = predict(f, *samples, f.run.batch_size, &scores, &done);
    scores = scores.Slice(0, samples->size());
  }
  if (result.interrupted) throw RunError("interrupted");
  if (is_chief()) check_finite(f, *samples, scores, result.checkpoint);
  return scores;
}

}  // namespace

int run_predict(const std::vector<std::string>& args) {
  CommandLine app("Classifies images with a checkpoint.\nExample: mox predict --checkpoint_url=DIR photo.jpg folder/",
                  "mox predict");
  PredictFlags flags;
  flags.classifier = read_config(peek_checkpoint_url(args));
  flags.classifier.data_url.clear();
  app.option("--checkpoint_url", flags.checkpoint_url, "folder of a run, or a checkpoint's prefix").required();
  app.option("inputs", flags.inputs, "image files, folders, or one .npy array [N, height, width, channels]");
  add_classifier_flags(app, &flags.classifier);
  app.get("--data_url").description("one more input: an image file, a folder or an array");
  app.option("--preprocess", flags.preprocess,
             "default: as the network's evaluation does; none: feed the values as they are")
      .one_of({"default", "none"})
      .show_default();
  app.option(
      "--output_url", flags.output_url,
      "write here instead of standard output; .npy: all classes of all images, .json or .jsonl: JSON lines, .csv: CSV");
  app.option("--values", flags.values, "probabilities or logits").one_of({"probabilities", "logits"}).show_default();
  app.number("--top_k", flags.top_k, {1, kMaxClasses}, "classes shown an image, best first").show_default();
  add_run_options(app, option_places::kPredict, &flags.run);
  app.flag("--json", flags.json, "JSON lines");
  if (int code = app.parse_with_flags(args); code >= 0) return code;
  if (!flags.classifier.data_url.empty()) flags.inputs.push_back(flags.classifier.data_url);
  complete(&flags.classifier);

  Samples samples = gather(flags.inputs);
  check_array(flags, samples);
  set_default_log_level("warning");
  int64_t left_out = 0;
  const tf::Tensor scores = predict_all(flags, &samples, &left_out);
  if (!is_chief()) return kDone;  // the chief has the outputs of all
  const std::vector<std::string> names = class_names_of(flags.classifier, flags.checkpoint_url);
  const Predictions predictions{samples, scores, names, flags.values == "logits" ? "logit" : "probability",
                                flags.top_k};
  std::string text;
  if (has_ending(flags.output_url, {".npy"}))
    text = format_npy(scores);
  else if (flags.json || has_ending(flags.output_url, {".json", ".jsonl"}))
    text = json_lines(predictions);
  else if (has_ending(flags.output_url, {".csv"}))
    text = csv(predictions);
  else
    text = table(predictions);
  if (flags.output_url.empty())
    std::cout << text << std::flush;
  else
    file::write(flags.output_url, text);
  if (left_out == 0) return kDone;
  log_error(fmt::format("{} of {} images could not be read and are left out: see above", left_out,
                        left_out + samples.size()));
  return kFailed;
}

}  // namespace mox::cli
