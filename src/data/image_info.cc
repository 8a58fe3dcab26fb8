#include "data/image_info.h"

#include <vector>

#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::data {

absl::Status inspect_image(std::string_view content, ImageInfo* info) {
  thread_local std::vector<uint8_t> pixels;
  info->format = image_format(content);
  return decode_image(content, {}, [&](int64_t height, int64_t width) {
    info->height = height;
    info->width = width;
    if (const auto size = static_cast<size_t>(height * width * 3); pixels.size() < size) pixels.resize(size);
    return pixels.data();
  });
}

void BrokenLimit::add(const std::string& message) {
  if (++count_ > limit_)
    throw DataError(message + (limit_ == 0 ? "; max_broken_samples lets so many be left out"
                                           : "; " + std::to_string(limit_) + " broken samples were left out before"));
  log_warning("broken sample " + std::to_string(count_) + " of at most " + std::to_string(limit_) +
              " is left out: " + message);
}

}  // namespace mox::data
