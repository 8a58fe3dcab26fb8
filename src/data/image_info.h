// What is known of one encoded image after it was decoded once.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "data/decode_image.h"

namespace mox::data {

struct ImageInfo {
  ImageFormat format = ImageFormat::kUnknown;
  int64_t height = 0;
  int64_t width = 0;
};
// Decodes the whole image: a broken one is found.
absl::Status inspect_image(std::string_view content, ImageInfo* info);

// Counts broken samples; DataError after more than `limit`.
class BrokenLimit {
 public:
  explicit BrokenLimit(int64_t limit) : limit_(limit) {}
  void add(const std::string& message);
  int64_t count() const { return count_; }

 private:
  int64_t limit_;
  int64_t count_ = 0;
};

}  // namespace mox::data
