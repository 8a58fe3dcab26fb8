#include "engine/eval_record.h"

#include <algorithm>

#include "data/picture.h"
#include "file/checksum.h"

namespace mox::cli {

namespace tf = tensorflow;

namespace {

constexpr int64_t kMostClasses = 100;  // of a confusion matrix that can be read
constexpr size_t kWrong = 16, kRight = 16;
constexpr int64_t kLargest = 96;  // pixels a side

// PNG of an image, stretched to 0..255 and made smaller where it is large.
std::string picture(const tf::Tensor& image) {
  const auto values = image.flat<float>();
  const int64_t height = image.dim_size(0), width = image.dim_size(1), channels = image.dim_size(2);
  const int64_t shrink = std::max<int64_t>(1, (std::max(height, width) + kLargest - 1) / kLargest);
  const float low = *std::min_element(values.data(), values.data() + values.size());
  const float high = *std::max_element(values.data(), values.data() + values.size());
  const float factor = high > low ? 255 / (high - low) : 0;
  tf::Tensor pixels(tf::DT_UINT8, {height / shrink, width / shrink, 3});
  auto out = pixels.tensor<uint8_t, 3>();
  for (int64_t y = 0; y < height / shrink; ++y)
    for (int64_t x = 0; x < width / shrink; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        // The mean of the pixels that become one.
        float sum = 0;
        for (int64_t dy = 0; dy < shrink; ++dy)
          for (int64_t dx = 0; dx < shrink; ++dx)
            sum += values(((y * shrink + dy) * width + x * shrink + dx) * channels + std::min(c, channels - 1));
        out(y, x, c) = static_cast<uint8_t>(std::clamp((sum / (shrink * shrink) - low) * factor, 0.f, 255.f));
      }
  return data::encode_png(pixels);
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
                               {"png", file::base64_encode(picture(sample.image))}});
  return j;
}

}  // namespace mox::cli
