#include "engine/eval_record.h"

#include <algorithm>

#include "engine/canvas.h"

namespace mox::cli {

namespace tf = tensorflow;

namespace {

constexpr int64_t kMostClasses = 100;  // of a confusion matrix that can be read
constexpr size_t kWrong = 16, kRight = 16;
constexpr int64_t kLargest = 96;  // pixels a side

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (int shift = 18; shift >= 0; shift -= 6) text += kDigits[group >> shift & 63];
  }
  for (size_t pad = (3 - bytes.size() % 3) % 3, i = 0; i < pad; ++i) text[text.size() - 1 - i] = '=';
  return text;
}

// PNG of an image, stretched to 0..255 and made smaller where it is large.
std::string picture(const tf::Tensor& image) {
  const auto values = image.flat<float>();
  const int64_t height = image.dim_size(0), width = image.dim_size(1), channels = image.dim_size(2);
  const int64_t shrink = std::max<int64_t>(1, (std::max(height, width) + kLargest - 1) / kLargest);
  const float low = *std::min_element(values.data(), values.data() + values.size());
  const float high = *std::max_element(values.data(), values.data() + values.size());
  const float factor = high > low ? 255 / (high - low) : 0;
  Canvas canvas(static_cast<int>(width / shrink), static_cast<int>(height / shrink));
  for (int y = 0; y < canvas.height(); ++y)
    for (int x = 0; x < canvas.width(); ++x) {
      // The mean of the pixels that become one.
      uint8_t rgb[3];
      for (int64_t c = 0; c < 3; ++c) {
        float sum = 0;
        for (int64_t dy = 0; dy < shrink; ++dy)
          for (int64_t dx = 0; dx < shrink; ++dx)
            sum += values(((y * shrink + dy) * width + x * shrink + dx) * channels + std::min(c, channels - 1));
        rgb[c] = static_cast<uint8_t>(std::clamp((sum / (shrink * shrink) - low) * factor, 0.f, 255.f));
      }
      canvas.fill_rectangle(x, y, 1, 1, {rgb[0], rgb[1], rgb[2]});
    }
  return canvas.png();
}

tf::Tensor row_of(const tf::Tensor& images, int64_t i) {
  tf::TensorShape shape = images.shape();
  shape.RemoveDim(0);
  tf::Tensor copy(images.dtype(), shape);
  const auto all = images.flat<float>();
  std::copy_n(all.data() + i * shape.num_elements(), shape.num_elements(), copy.flat<float>().data());
  return copy;
}

}  // namespace

EvalRecord::EvalRecord(int64_t num_classes)
    : num_classes_(num_classes), confusion_(num_classes <= kMostClasses ? num_classes * num_classes : 0) {}

void EvalRecord::add(const OutputDict& dict) {
  const tf::Tensor& images = dict.at("images");
  const auto labels = dict.at("labels").flat<int64_t>();
  const auto probabilities = dict.at("probabilities").flat<float>();
  for (int64_t i = 0; i < labels.size(); ++i) {
    const float* row = probabilities.data() + i * num_classes_;
    const int64_t predicted = std::max_element(row, row + num_classes_) - row;
    const int64_t label = labels(i);
    if (label < 0 || label >= num_classes_) continue;
    if (!confusion_.empty()) ++confusion_[label * num_classes_ + predicted];
    const bool wanted = label == predicted ? right_.size() < kRight
                                           : wrong_.size() < kWrong || row[predicted] > wrong_.back().probability;
    if (wanted && images.dims() == 4 && images.dtype() == tf::DT_FLOAT)
      keep({label, predicted, row[predicted], row_of(images, i)});
  }
}

void EvalRecord::keep(Sample sample) {
  std::vector<Sample>& kept = sample.label == sample.predicted ? right_ : wrong_;
  kept.push_back(std::move(sample));
  if (&kept == &right_) return;
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.probability > b.probability; });
  if (kept.size() > kWrong) kept.pop_back();
}

nlohmann::ordered_json EvalRecord::json() const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  for (int64_t i = 0; !confusion_.empty() && i < num_classes_; ++i)
    j["confusion"].push_back(
        std::vector<int64_t>(confusion_.begin() + i * num_classes_, confusion_.begin() + (i + 1) * num_classes_));
  for (const auto* samples : {&wrong_, &right_})
    for (const Sample& sample : *samples)
      j["pictures"].push_back({{"label", sample.label},
                               {"predicted", sample.predicted},
                               {"probability", sample.probability},
                               {"png", base64(picture(sample.image))}});
  return j;
}

}  // namespace mox::cli
