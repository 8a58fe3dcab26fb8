// A small RGB picture to draw on, and its file.
#pragma once

#include <cstdint>
#include <string>

#include "moxing/export.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox::data {

class Picture {
 public:
  Picture(int64_t height, int64_t width);
  // An image [height, width, 1 or 3], uint8 or float, stretched to 0..255, with its upper left corner there.
  void draw_image(int64_t top, int64_t left, const tensorflow::Tensor& image);
  // Letters, digits and - _ . / : in white, cut off at `width` pixels; kTextHeight pixels high.
  void draw_text(int64_t top, int64_t left, int64_t width, const std::string& text);
  // uint8 [height, width, 3].
  const tensorflow::Tensor& pixels() const { return pixels_; }

  static constexpr int64_t kTextHeight = 14;

 private:
  tensorflow::Tensor pixels_;
};

// The PNG file of pixels: uint8 [height, width, 3]. Error when there is no memory for it.
MOX_EXPORT std::string encode_png(const tensorflow::Tensor& pixels);

}  // namespace mox::data
