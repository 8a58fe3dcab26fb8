#include "data/record_file.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/crc32c.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace mox::data {

namespace tf = tensorflow;

namespace {

constexpr size_t kHeader = 12;
constexpr size_t kFooter = 4;
// Large enough that a remote file streams, small enough that many files at once stay small.
constexpr size_t kReadAhead = 1 << 20;
constexpr size_t kSkipAhead = 1 << 14;
constexpr size_t kPiece = 16 << 20;

uint64_t little_endian(absl::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

bool has_crc(absl::string_view data, uint64_t masked) {
  return tf::crc32c::Mask(crc32c(0, data.data(), data.size())) == masked;
}

}  // namespace

RecordFile::RecordFile(std::string path, std::unique_ptr<tf::RandomAccessFile> file, int64_t size, int64_t begin)
    : path_(std::move(path)), file_(std::move(file)), size_(size), next_(begin), read_ahead_(kReadAhead) {}

absl::Status RecordFile::fetch(int64_t at, size_t size, absl::string_view* bytes) {
  const int64_t end = buffer_at_ + static_cast<int64_t>(buffer_size_);
  if (at < buffer_at_ || at + static_cast<int64_t>(size) > end) {
    // What is there already stays: reads follow each other without a step back, so that an object's are read ahead.
    size_t kept = 0;
    if (at >= buffer_at_ && at < end) {
      kept = static_cast<size_t>(end - at);
      std::memmove(buffer_.data(), buffer_.data() + (at - buffer_at_), kept);
    }
    buffer_at_ = at;
    buffer_size_ = kept;
    // Not ahead of the file's end: a small file takes little memory.
    const size_t left = size_ < 0 ? read_ahead_ : static_cast<size_t>(std::max<int64_t>(0, size_ - at));
    if (auto status = fill(std::max(size, std::min(read_ahead_, left))); !status.ok()) return status;
  }
  const size_t from = static_cast<size_t>(at - buffer_at_);
  *bytes = absl::string_view(buffer_.data(), buffer_size_).substr(std::min(from, buffer_size_), size);
  return absl::OkStatus();
}

absl::Status RecordFile::fill(size_t wanted) {
  // Piece by piece: memory is taken for bytes that come, not for all that a length tells of.
  while (buffer_size_ < wanted) {
    const size_t piece = std::min(wanted - buffer_size_, kPiece);
    if (buffer_.size() < buffer_size_ + piece) buffer_.resize(buffer_size_ + piece);
    char* rest = buffer_.data() + buffer_size_;
    absl::string_view got;
    const auto status = file_->Read(buffer_at_ + static_cast<int64_t>(buffer_size_), got, absl::MakeSpan(rest, piece));
    if (!status.ok() && !absl::IsOutOfRange(status)) {
      buffer_size_ = 0;
      return status;
    }
    if (got.data() != rest) std::copy(got.begin(), got.end(), rest);
    buffer_size_ += got.size();
    if (got.size() < piece) break;
  }
  return absl::OkStatus();
}

RecordFile::Result RecordFile::broken(const std::string& what, absl::Status* error) {
  *error = absl::DataLossError("TFRecord file " + path_ + ", record at byte " + std::to_string(offset_) + ": " + what);
  return Result::kBroken;
}

RecordFile::Result RecordFile::read_header(uint64_t* length, absl::Status* error) {
  constexpr int64_t kNoNext = -1;
  if (next_ == kNoNext) return Result::kEnd;
  offset_ = next_;
  absl::string_view header;
  if (auto status = fetch(offset_, kHeader, &header); !status.ok()) {
    next_ = kNoNext;
    *error = absl::Status(status.code(), "TFRecord file " + path_ + " cannot be read at byte " +
                                             std::to_string(offset_) + ": " + std::string(status.message()));
    return Result::kBroken;
  }
  if (header.empty()) {
    next_ = kNoNext;
    return Result::kEnd;
  }
  next_ = kNoNext;
  if (header.size() < kHeader) return broken("the file ends inside the record's header", error);
  *length = little_endian(header, 0, 8);
  if (!has_crc(header.substr(0, 8), little_endian(header, 8, 4)))
    return broken("the checksum of the length does not fit; the rest of the file cannot be read", error);
  if (size_ >= 0 && *length > static_cast<uint64_t>(size_))
    return broken("the record has " + std::to_string(*length) + " bytes, the file " + std::to_string(size_), error);
  // No message is longer, and no buffer has to be.
  if (*length > std::numeric_limits<int32_t>::max())
    return broken("the record has " + std::to_string(*length) + " bytes, more than can be read", error);
  next_ = offset_ + static_cast<int64_t>(kHeader + *length + kFooter);
  return Result::kRecord;
}

RecordFile::Result RecordFile::next(tf::tstring* record, absl::Status* error) {
  uint64_t length = 0;
  if (const Result result = read_header(&length, error); result != Result::kRecord) return result;
  absl::string_view bytes;
  if (auto status = fetch(offset_ + static_cast<int64_t>(kHeader), length + kFooter, &bytes); !status.ok())
    return broken("cannot be read: " + std::string(status.message()), error);
  if (bytes.size() < length + kFooter) {
    next_ = -1;
    return broken("the file ends inside the record, which has " + std::to_string(length) + " bytes", error);
  }
  if (!has_crc(bytes.substr(0, length), little_endian(bytes, length, kFooter)))
    return broken("the checksum of the data does not fit", error);
  *record = bytes.substr(0, length);
  return Result::kRecord;
}

RecordFile::Result RecordFile::skip(absl::Status* error) {
  uint64_t length = 0;
  // Small records share a read; of large ones only the header is fetched.
  read_ahead_ = kSkipAhead;
  const Result result = read_header(&length, error);
  if (result == Result::kRecord && size_ >= 0 && next_ > size_) {
    next_ = -1;
    return broken("the file ends inside the record, which has " + std::to_string(length) + " bytes", error);
  }
  return result;
}

}  // namespace mox::data
