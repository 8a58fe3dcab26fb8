#include "data/picture.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <vector>

#include "moxing/error.h"
#include "tensorflow/core/lib/png/png_io.h"

namespace mox::data {

namespace tf = tensorflow;

namespace {

constexpr int64_t kDot = 2;  // pixels a dot of a letter
constexpr int64_t kDotsWide = 3, kDotsHigh = 5;

// Rows of three dots, from the top.
const char* dots_of(char c) {
  static constexpr const char* kDigits[] = {"111101101101111", "010110010010111", "111001111100111", "111001111001111",
                                            "101101111001001", "111100111001111", "111100111101111", "111001001001001",
                                            "111101111101111", "111101111001111"};
  static constexpr const char* kLetters[] = {
      "010101111101101", "110101110101110", "011100100100011", "110101101101110", "111100110100111", "111100110100100",
      "011100101101011", "101101111101101", "111010010010111", "001001001101010", "101101110101101", "100100100100111",
      "101111111101101", "110101101101101", "010101101101010", "110101110100100", "010101101111011", "110101110101101",
      "011100010001110", "111010010010010", "101101101101111", "101101101101010", "101101111111101", "101101010101101",
      "101101010010010", "111001010100111"};
  if (c >= '0' && c <= '9') return kDigits[c - '0'];
  if (std::isalpha(static_cast<unsigned char>(c))) return kLetters[std::toupper(static_cast<unsigned char>(c)) - 'A'];
  switch (c) {
    case '-':
      return "000000111000000";
    case '_':
      return "000000000000111";
    case '.':
      return "000000000000010";
    case '/':
      return "001001010100100";
    case ':':
      return "000010000010000";
    default:
      return "000000000000000";
  }
}

std::vector<float> as_floats(const tf::Tensor& image) {
  std::vector<float> values(static_cast<size_t>(image.NumElements()));
  if (image.dtype() == tf::DT_UINT8) {
    const auto flat = image.flat<uint8_t>();
    std::copy(flat.data(), flat.data() + flat.size(), values.begin());
  } else {
    const auto flat = image.flat<float>();
    std::copy(flat.data(), flat.data() + flat.size(), values.begin());
  }
  return values;
}

}  // namespace

Picture::Picture(int64_t height, int64_t width) : pixels_(tf::DT_UINT8, {height, width, 3}) {
  std::memset(pixels_.data(), 0, pixels_.TotalBytes());
}

void Picture::draw_image(int64_t top, int64_t left, const tf::Tensor& image) {
  const std::vector<float> values = as_floats(image);
  if (values.empty()) return;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float scale = *high > *low ? 255.0f / (*high - *low) : 0;
  auto out = pixels_.tensor<uint8_t, 3>();
  const int64_t channels = image.dim_size(2);
  const int64_t height = std::min(image.dim_size(0), pixels_.dim_size(0) - top);
  const int64_t width = std::min(image.dim_size(1), pixels_.dim_size(1) - left);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const float value = values[(y * image.dim_size(1) + x) * channels + (channels == 1 ? 0 : c)];
        out(top + y, left + x, c) = static_cast<uint8_t>(std::lround((value - *low) * scale));
      }
}

void Picture::draw_text(int64_t top, int64_t left, int64_t width, const std::string& text) {
  auto out = pixels_.tensor<uint8_t, 3>();
  const int64_t step = (kDotsWide + 1) * kDot;
  for (size_t i = 0; i < text.size() && (static_cast<int64_t>(i) + 1) * step <= width; ++i) {
    const char* dots = dots_of(text[i]);
    for (int64_t y = 0; y < kDotsHigh * kDot; ++y)
      for (int64_t x = 0; x < kDotsWide * kDot; ++x)
        if (dots[y / kDot * kDotsWide + x / kDot] == '1')
          for (int64_t c = 0; c < 3; ++c) out(top + kDot + y, left + static_cast<int64_t>(i) * step + x, c) = 255;
  }
}

std::string encode_png(const tf::Tensor& pixels) {
  constexpr int kChannels = 3, kBits = 8, kDefaultCompression = -1;
  const int height = static_cast<int>(pixels.dim_size(0)), width = static_cast<int>(pixels.dim_size(1));
  std::string file;
  if (!tf::png::WriteImageToBuffer(pixels.data(), width, height, width * kChannels, kChannels, kBits,
                                   kDefaultCompression, &file, nullptr))
    throw Error("a picture of " + std::to_string(height) + "x" + std::to_string(width) + " cannot be written as PNG");
  return file;
}

}  // namespace mox::data
