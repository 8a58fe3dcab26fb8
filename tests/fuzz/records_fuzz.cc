// TFRecord files and the examples in them may hold anything: records, or what is wrong with them; never more bytes than
// the file has.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/crc32c.h"
#include "data/image_example.h"
#include "data/record_file.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace {

namespace tf = tensorflow;
using mox::data::RecordFile;

class MemoryFile : public tf::RandomAccessFile {
 public:
  explicit MemoryFile(const std::string& bytes) : bytes_(bytes) {}
  absl::Status Read(uint64_t at, absl::string_view& got, absl::Span<char> to) const override {
    const size_t begin = std::min<uint64_t>(at, bytes_.size()), count = std::min(to.size(), bytes_.size() - begin);
    std::memcpy(to.data(), bytes_.data() + begin, count);
    got = absl::string_view(to.data(), count);
    return count == to.size() ? absl::OkStatus() : absl::OutOfRangeError("the end");
  }

 private:
  const std::string& bytes_;
};

void check_example(std::string_view record) {
  mox::data::ImageExample example;
  if (mox::data::parse_image_example(record, &example).empty() && example.encoded.empty()) std::abort();
}

void read_all(const std::string& bytes, int64_t size, bool skip) {
  RecordFile file("a.tfrecord", std::make_unique<MemoryFile>(bytes), size);
  tf::tstring record;
  absl::Status error;
  size_t total = 0;
  int64_t last = -1;
  for (;;) {
    const RecordFile::Result result = skip ? file.skip(&error) : file.next(&record, &error);
    if (result == RecordFile::Result::kEnd) break;
    if (file.offset() <= last) std::abort();
    last = file.offset();
    if (result == RecordFile::Result::kBroken) {
      if (error.ok()) std::abort();
    } else if (!skip) {
      total += record.size() + 16;
      check_example({record.data(), record.size()});
    }
  }
  if (total > bytes.size()) std::abort();
}

// The checksums made right, which no mutation finds: every length that the bytes tell is believed.
std::string with_checksums(std::string bytes) {
  const auto put = [&](size_t at, size_t from, size_t count) {
    const uint32_t crc = tf::crc32c::Mask(mox::crc32c(0, bytes.data() + from, count));
    std::memcpy(&bytes[at], &crc, 4);
  };
  for (size_t at = 0; bytes.size() >= 12 && at <= bytes.size() - 12;) {
    put(at + 8, at, 8);
    uint64_t length = 0;
    std::memcpy(&length, &bytes[at], 8);
    const size_t left = bytes.size() - at - 12;
    if (left < 4 || length > left - 4) break;
    put(at + 12 + length, at + 12, length);
    at += 16 + length;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  check_example(bytes);
  const std::string right = with_checksums(bytes);
  for (const bool skip : {false, true})
    for (const std::string& file : {bytes, right}) read_all(file, static_cast<int64_t>(file.size()), skip);
  if (size % 16 == 0) read_all(right, -1, false);  // reads ahead by the MiB: slow
  return 0;
}
