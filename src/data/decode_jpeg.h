// The common JPEG files, decoded row by row: where the image is resized, only the rows that nearest neighbour takes
// become colours, and the pixels of the whole image are never in memory.
#pragma once

#include "data/decode_image.h"

namespace mox::data {

// As decode_image, without the EXIF orientation. False, with nothing said of why, for a file that is not grey or YCbCr
// or has anything wrong: the general decoder tells what it is. `allocate` may have been called then.
bool decode_common_jpeg(std::string_view content, const DecodeOptions& options,
                        const std::function<uint8_t*(int64_t height, int64_t width)>& allocate);

}  // namespace mox::data
