#include "data/augment_image.h"

#include <limits>
#include <utility>
#include <vector>

#include "data/decode_image.h"
#include "data/decode_jpeg.h"
#include "data/pixel_file.h"
#include "data/resize_plan.h"
#include "graph/augment_marks.h"

namespace mox::data {

namespace {

// Takes the rows that a plan needs, one by one, and makes the output's rows as soon as both of theirs are there.
class Renderer {
 public:
  const ResizePlan& plan() const { return plan_; }

  // Of an image whose pixels are all there, and kRowSlack bytes behind them.
  absl::Status render(const PixelFile& image, const AugmentRequest& request, float* out) {
    if (auto status = begin(request, image.height, image.width, out); !status.ok()) return status;
    for (const int32_t row : plan_.needed) take(row, image.pixels + (row * image.width + plan_.left) * 3);
    return absl::OkStatus();
  }

  absl::Status begin(const AugmentRequest& request, int64_t height, int64_t width, float* out) {
    if (auto status = plan_resize(request, height, width, &plan_); !status.ok()) return status;
    request_ = &request;
    out_ = out;
    next_ = 0;
    columns_.set(plan_.columns, plan_.left);
    const size_t count = static_cast<size_t>(request.width) * 3;
    for (std::vector<float>* row : {&above_, &below_}) row->resize(count + kRowSlack);
    mean_.resize(count);
    for (size_t i = 0; i < count; ++i) mean_[i] = request.mean[i % 3];
    return absl::OkStatus();
  }

  // Row `number` of the image, from the plan's left column on.
  void take(int32_t number, const uint8_t* pixels) {
    above_.swap(below_);
    columns_.apply(pixels, below_.data());
    const Interpolation& rows = plan_.rows;
    for (; next_ < rows.upper.size() && rows.upper[next_] <= number; ++next_) {
      // The row before is the last one that was taken, as `needed` has both.
      const float* lower = rows.lower[next_] == number ? below_.data() : above_.data();
      make_row(lower, below_.data(), rows.lerp[next_]);
    }
  }

 private:
  void make_row(const float* top, const float* bottom, float lerp) {
    const auto width = static_cast<size_t>(request_->width);
    if (request_->family == AugmentFamily::kVgg)
      blend_without_mean(top, bottom, lerp, mean_.data(), 3 * width, out_);
    else if (request_->training)
      blend_colours(top, bottom, lerp, request_->brightness, request_->saturation, width, out_);
    else
      blend_to_unit(top, bottom, lerp, 3 * width, out_);
    out_ += 3 * width;
  }

  const AugmentRequest* request_ = nullptr;
  float* out_ = nullptr;
  size_t next_ = 0;  // row of the output
  ResizePlan plan_;
  RowResizer columns_;
  std::vector<float> above_, below_, mean_;
};

// A thread keeps a picture of that size for its next image.
constexpr size_t kKeptBytes = size_t{32} << 20;

absl::Status augment_decoded(std::string_view content, const AugmentRequest& request, Renderer* renderer, float* out) {
  thread_local std::vector<uint8_t> picture;
  PixelFile image;
  DecodeOptions options;
  options.apply_exif = request.apply_exif;
  options.background = request.background;
  absl::Status status = decode_image(content, options, [&](int64_t height, int64_t width) {
    const size_t size = static_cast<size_t>(height * width * 3) + kRowSlack;
    if (picture.size() < size) picture.resize(size);
    image = {height, width, picture.data()};
    return picture.data();
  });
  if (status.ok()) status = renderer->render(image, request, out);
  if (picture.size() > kKeptBytes) std::vector<uint8_t>().swap(picture);
  return status;
}

// The sizes that are at a fixed place.
bool size_in_header(std::string_view content, int64_t* height, int64_t* width) {
  if (PixelFile image; read_pixel_file(content, &image)) {
    *height = image.height, *width = image.width;
    return true;
  }
  const ImageFormat format = image_format(content);
  if (format == ImageFormat::kJpeg) return jpeg_size(content, height, width);
  if (format != ImageFormat::kPng || content.size() < 24 || content.substr(12, 4) != "IHDR") return false;
  const auto number = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(content[at + i]);
    return value;
  };
  *width = number(16);
  *height = number(20);
  const auto possible = [](int64_t side) { return side > 0 && side <= std::numeric_limits<int32_t>::max(); };
  return possible(*width) && possible(*height);
}

}  // namespace

bool augment_family(std::string_view name, AugmentFamily* family) {
  *family = name == augment_marks::kVgg ? AugmentFamily::kVgg : AugmentFamily::kInception;
  return name == augment_marks::kVgg || name == augment_marks::kInception;
}

absl::Status augment_image(std::string_view content, const AugmentRequest& request, float* out) {
  thread_local Renderer renderer;
  if (PixelFile image; read_pixel_file(content, &image)) return renderer.render(image, request, out);
  const bool turn = request.apply_exif && exif_orientation(content) != 1;
  if (image_format(content) == ImageFormat::kJpeg && !turn) {
    absl::Status status;
    const auto begin = [&](int64_t height, int64_t width) -> const ResizePlan* {
      status = renderer.begin(request, height, width, out);
      return status.ok() ? &renderer.plan() : nullptr;
    };
    const auto take = [&](int32_t row, const uint8_t* pixels) { renderer.take(row, pixels); };
    if (read_common_jpeg(content, begin, take) || !status.ok()) return status;
  }
  return augment_decoded(content, request, &renderer, out);
}

absl::Status image_size(std::string_view content, bool apply_exif, int64_t* height, int64_t* width) {
  const bool turned = apply_exif && exif_orientation(content) >= 5;
  if (size_in_header(content, height, width)) {
    if (turned) std::swap(*height, *width);
    return absl::OkStatus();
  }
  thread_local std::vector<uint8_t> picture;
  DecodeOptions options;
  options.apply_exif = apply_exif;
  const absl::Status status = decode_image(content, options, [&](int64_t h, int64_t w) {
    *height = h, *width = w;
    if (const size_t size = static_cast<size_t>(h * w * 3); picture.size() < size) picture.resize(size);
    return picture.data();
  });
  if (picture.size() > kKeptBytes) std::vector<uint8_t>().swap(picture);
  return status;
}

}  // namespace mox::data
