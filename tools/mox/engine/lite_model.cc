#include "engine/lite_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/error.h"
#include "moxing/file.h"

namespace mox::cli {

namespace tf = tensorflow;

namespace {

constexpr char kEnding[] = ".tflite";
constexpr char kRunsLite[] = "import sys\nfrom moxing.quantize import main\nmain(sys.stdin.buffer)\n";
// Says what is missing. TensorFlow is not imported, which takes seconds.
constexpr char kLacks[] = R"(
import importlib.util, os
def has(name, *file):
    spec = importlib.util.find_spec(name)
    return bool(spec) and (not file or os.path.exists(os.path.join(spec.submodule_search_locations[0], *file)))
lite = has("tensorflow", "lite", "python", "lite.py")
print("" if not has("moxing") else "converter" if lite else "interpreter" if has("ai_edge_litert") else "none", end="")
)";

PythonProcess start() {
  add_package_of_build_tree();
  return {find_python(), kRunsLite, {}};
}

nlohmann::json head_of(const ClassifierConfig& config) {
  return {{"image", {config.image_size, config.image_size, config.channels}}, {"classes", config.num_classes}};
}

void send_head(PythonProcess* python, const nlohmann::json& head) {
  const std::string line = json_text(head) + "\n";
  python->write(line.data(), line.size());
}

// Of logits; what they say of one image of class `label`.
struct Judgement {
  float loss;
  int64_t before;  // classes that come before the label's; of equal ones the first comes first
};

// Fills `probabilities`.
Judgement judge(const float* logits, int64_t count, int64_t label, float* probabilities) {
  const float most = *std::max_element(logits, logits + count);
  double sum = 0;
  for (int64_t c = 0; c < count; ++c) sum += std::exp(static_cast<double>(logits[c]) - most);
  for (int64_t c = 0; c < count; ++c)
    probabilities[c] = static_cast<float>(std::exp(static_cast<double>(logits[c]) - most) / sum);
  if (label < 0 || label >= count) return {std::numeric_limits<float>::quiet_NaN(), count};
  int64_t before = 0;
  for (int64_t c = 0; c < count; ++c)
    before += logits[c] > logits[label] || (logits[c] == logits[label] && c < label) || std::isnan(logits[c]);
  return {static_cast<float>(std::log(sum) + most - logits[label]), before};
}

}  // namespace

bool is_lite_model(const std::string& url) { return url.ends_with(kEnding); }

void check_lite_python(LiteNeed need, const std::string& what) {
  add_package_of_build_tree();
  const std::string python = find_python(), has = ask_python(python, kLacks).value_or("none");
  if (has == "converter" || (has == "interpreter" && need == LiteNeed::kInterpreter)) return;
  if (has.empty())
    throw NotFoundError(
        fmt::format("{} needs the package moxing in {}: install it there, or name a Python that has it "
                    "in MOX_PYTHON",
                    what, python));
  const bool converts = need == LiteNeed::kConverter;
  throw NotFoundError(fmt::format(
      "{} needs TensorFlow Lite's {}, and {} has none: pip install {} there, or name a Python that has it in "
      "MOX_PYTHON",
      what, converts ? "converter" : "interpreter", python,
      converts ? "tensorflow" : "ai-edge-litert (or tensorflow)"));
}

LiteModel::LiteModel(const ClassifierConfig& config, const std::string& path)
    : num_classes_(config.num_classes), python_(start()) {
  const std::string content = file::read(path);
  if (content.size() < 8 || content.substr(4, 4) != "TFL3")
    throw DataError(path + " is no model of TensorFlow Lite: give a .tflite file as mox export --quantize writes it");
  nlohmann::json head = head_of(config);
  head["model_bytes"] = content.size();
  send_head(&python_, head);
  python_.write(content.data(), content.size());
}

LiteModel::LiteModel(const ClassifierConfig& config, const std::string& saved_model, const std::string& to,
                     int64_t batches)
    : num_classes_(config.num_classes), python_(start()) {
  nlohmann::json head = head_of(config);
  head["saved_model"] = saved_model;
  head["to"] = to;
  head["calibration_batches"] = batches;
  send_head(&python_, head);
}

// One batch of moxing/quantize.py's input.
void LiteModel::send(const tf::Tensor& images) {
  const int64_t count = images.dim_size(0);
  python_.write(&count, sizeof count);
  python_.write(images.flat<float>().data(), static_cast<size_t>(images.NumElements()) * sizeof(float));
}

void LiteModel::calibrate(const tf::Tensor& images) { send(images); }

std::string LiteModel::content() {
  int64_t size = 0;
  python_.read(&size, sizeof size);
  std::string content(static_cast<size_t>(size), '\0');
  python_.read(content.data(), content.size());
  return content;
}

OutputDict LiteModel::evaluate(const OutputDict& batch) {
  const tf::Tensor& labels = batch.at("labels");
  const int64_t count = labels.NumElements();
  send(batch.at("images"));
  tf::Tensor logits(tf::DT_FLOAT, {count, num_classes_}), probabilities(tf::DT_FLOAT, {count, num_classes_});
  tf::Tensor loss(tf::DT_FLOAT, {count}), top1(tf::DT_BOOL, {count}), top5(tf::DT_BOOL, {count});
  float* const from = logits.flat<float>().data();
  python_.read(from, static_cast<size_t>(logits.NumElements()) * sizeof(float));
  for (int64_t i = 0; i < count; ++i) {
    const Judgement judged = judge(from + i * num_classes_, num_classes_, labels.flat<int64_t>()(i),
                                   probabilities.flat<float>().data() + i * num_classes_);
    loss.flat<float>()(i) = judged.loss;
    top1.flat<bool>()(i) = judged.before < 1;
    top5.flat<bool>()(i) = judged.before < std::min<int64_t>(5, num_classes_);
  }
  return {{"loss", loss},     {"images", batch.at("images")},
          {"labels", labels}, {"probabilities", probabilities},
          {"top1", top1},     {"top5", top5}};
}

}  // namespace mox::cli
