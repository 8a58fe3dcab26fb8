// Decoded pixels as a cache keeps them: a header, rows of three-byte pixels, and kRowSlack bytes more. What decodes
// image files takes these, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tensorflow/core/platform/tstring.h"

namespace mox::data {

struct DecodeOptions;

struct PixelFile {
  int64_t height = 0, width = 0;
  const uint8_t* pixels = nullptr;  // inside the content
};

// False for anything else.
bool read_pixel_file(std::string_view content, PixelFile* file);
// Decodes an image file, to three channels. Errors as decode_image has them.
absl::Status make_pixel_file(std::string_view content, const DecodeOptions& options, tensorflow::tstring* file);
// What tells the pixels that options make of a file from others, and from those of another layout of pixel files.
std::string pixel_key(const DecodeOptions& options);

}  // namespace mox::data
