#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace {

constexpr size_t kMostUnpacked = 1 << 30;
constexpr size_t kLeast = 1 << 16;

}  // namespace

class UnpackedFile::Inflater {
 public:
  Inflater(const std::string& path, const std::string& content) : path_(path), size_(content.size()) {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw RunError("zlib could not be started");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream_.avail_in = static_cast<uInt>(content.size());
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  size_t read(char* to, size_t size) {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    size_t left = size;
    while (left > 0 && !ended_) {
      const uInt room = static_cast<uInt>(std::min<size_t>(left, kMostUnpacked));
      stream_.avail_out = room;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      left -= room - stream_.avail_out;
      if (code == Z_STREAM_END)
        next_member();
      else if (code != Z_OK)
        damaged(code);
    }
    return size - left;
  }

 private:
  // gzip files may be several members in a row.
  void next_member() {
    ended_ = stream_.avail_in == 0 || stream_.next_in[0] != 0x1f;
    if (!ended_) inflateReset(&stream_);
  }
  [[noreturn]] void damaged(int code) const {
    throw DataError("data file " + path_ + " is damaged at byte " + std::to_string(size_ - stream_.avail_in) + " of " +
                    std::to_string(size_) + ": " +
                    (code == Z_BUF_ERROR ? "the gzip stream ends too early" : "not a valid gzip stream") +
                    "; fetch it again");
  }

  const std::string& path_;
  const size_t size_;
  z_stream stream_{};
  bool ended_ = false;
};

UnpackedFile::UnpackedFile(std::string path)
    : path_(std::move(path)), ahead_(take_unpacked(path_)), content_(ahead_ ? "" : read_whole_file(path_)) {
  if (content_.size() >= 2 && content_[0] == '\x1f' && content_[1] == '\x8b')
    inflater_ = std::make_unique<Inflater>(path_, content_);
}

UnpackedFile::~UnpackedFile() = default;

size_t UnpackedFile::read(char* to, size_t size) {
  if (inflater_) {
    const size_t got = inflater_->read(to, size);
    at_ += got;
    if (at_ > kMostUnpacked)
      throw DataError("data file " + path_ + " unpacks to more than " + std::to_string(kMostUnpacked) +
                      " bytes, which no data set that is read so has; fetch it again");
    return got;
  }
  const std::string_view bytes = ahead_ ? std::string_view(ahead_->data.get(), ahead_->size) : content_;
  const size_t got = std::min(size, bytes.size() - at_);
  std::memcpy(to, bytes.data() + at_, got);
  at_ += got;
  return got;
}

std::string UnpackedFile::rest() {
  std::string unpacked;
  for (size_t got = 0, filled = 0;; filled += got) {
    unpacked.resize(filled + filled / 2 + kLeast);
    got = read(unpacked.data() + filled, unpacked.size() - filled);
    if (filled + got == unpacked.size()) continue;
    unpacked.resize(filled + got);
    return unpacked;
  }
}

}  // namespace mox::data
