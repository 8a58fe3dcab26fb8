// Image files to pixels: JPEG (also progressive, grey, CMYK), PNG, BMP, GIF (first frame), WebP. The format is told by
// the content, never by the name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "moxing/export.h"

namespace mox::data {

enum class ImageFormat { kUnknown, kJpeg, kPng, kBmp, kGif, kWebp };
MOX_EXPORT ImageFormat image_format(std::string_view content);
const char* to_string(ImageFormat format);
// DecodeOptions::background of the data sets' option `alpha`: drop, white or black.
int background_of(std::string_view alpha);

struct DecodeOptions {
  int channels = 3;    // 1 or 3
  int64_t height = 0;  // > 0, with width: resized, nearest neighbour as TF 1's resize_images
  int64_t width = 0;
  bool apply_exif = false;  // turn the image as its EXIF orientation says
  // What shows where a PNG or WebP is transparent: -1 the colours that the file has there, else this grey behind them.
  int background = -1;
};

// Decodes into the memory that `allocate(height, width)` returns, rows of `channels` bytes a pixel. An error tells what
// is wrong with the content; the caller adds the path.
MOX_EXPORT absl::Status decode_image(std::string_view content, const DecodeOptions& options,
                                     const std::function<uint8_t*(int64_t height, int64_t width)>& allocate);

// What can be told without decoding: empty, a JPEG, PNG or WebP that is cut off, or no image where one must be.
absl::Status check_whole(std::string_view content, bool must_be_image);

// bmp.cc: uncompressed 1, 4, 8, 24 and 32 bit images. `allocate` as above, always 3 channels.
absl::Status decode_bmp(std::string_view content,
                        const std::function<uint8_t*(int64_t height, int64_t width)>& allocate);

// exif.cc: where the header's segments end, which is where the pixels begin; the content's size when it ends before.
size_t jpeg_scan(std::string_view jpeg);
// What the frame header says; false when it is not found.
bool jpeg_size(std::string_view jpeg, int64_t* height, int64_t* width);
// The orientation 1 to 8 of a JPEG; 1 when it says nothing.
int exif_orientation(std::string_view jpeg);

}  // namespace mox::data
