// The common JPEG files, decoded row by row: where the image is resized, only the rows and columns that are taken
// become colours, and the pixels of the whole image are never in memory.
#pragma once

#include "data/decode_image.h"
#include "data/resize_plan.h"

namespace mox::data {

// As decode_image, without the EXIF orientation. False, with nothing said of why, for a file that is not grey or YCbCr
// or has anything wrong: the general decoder tells what it is. `allocate` may have been called then.
bool decode_common_jpeg(std::string_view content, const DecodeOptions& options,
                        const std::function<uint8_t*(int64_t height, int64_t width)>& allocate);

// Calls plan(height, width) once, then `take` with each row that the plan needs, ascending, from its left column on
// (and kRowSlack bytes behind its last). As decode_common_jpeg otherwise; false also when `plan` returns null. Below
// the last row it only sees that the file is not cut off.
bool read_common_jpeg(std::string_view content,
                      const std::function<const ResizePlan*(int64_t height, int64_t width)>& plan,
                      const std::function<void(int32_t row, const uint8_t* pixels)>& take);

}  // namespace mox::data
