// A local file to the store: one PUT, or a multipart upload that a later run can go on with.
#include <fcntl.h>
#include <sys/stat.h>

#include <climits>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_text.h"
#include "file/checksum.h"
#include "file/config.h"
#include "file/local_file_system.h"
#include "file/s3_assembler.h"
#include "file/s3_transfer.h"
#include "file/state_folder.h"
#include "file/transfer.h"

namespace mox::file {
namespace {

struct OpenSource {
  Descriptor file;
  int64_t size = 0;
  int64_t mtime_nsec = 0;
};

OpenSource open_source(const Location& src) {
  OpenSource source{Descriptor("copy", src.path, O_RDONLY), 0, 0};
  struct ::stat st;
  if (::fstat(source.file.get(), &st) != 0) throw_errno("copy", src.path, errno);
  source.size = st.st_size;
  source.mtime_nsec = static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
  return source;
}

BodySource counted(BodySource body, CopyCounters* counters) {
  counters->bytes += body.size;
  return body;
}

class SmallUpload : public Transfer {
 public:
  SmallUpload(const Location& src, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters) {}
  void run_part(int) override {
    const OpenSource source = open_source(src_);
    // Most files fit into memory: read once, for the checksums and for the request.
    constexpr int64_t kInMemory = 1 << 20;
    if (source.size <= kInMemory) {
      thread_local const auto memory = std::make_unique_for_overwrite<char[]>(kInMemory);
      const int64_t size = pread_fully(source.file.get(), memory.get(), source.size, 0, src_.path);
      const std::string_view data(memory.get(), static_cast<size_t>(size));
      s3::put("copy", dst_, counted(body_of(data), counters_), {source.mtime_nsec});
    } else {
      s3::put("copy", dst_, counted(body_of_file(source.file.get(), source.size, src_.path), counters_),
              {source.mtime_nsec});
    }
  }

 private:
  Location src_, dst_;
  CopyCounters* counters_;
};

// What has no size beforehand: a pipe, a device.
class PipeUpload : public Transfer {
 public:
  PipeUpload(const Location& src, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters) {}
  void run_part(int) override {
    Descriptor file("copy", src_.path, O_RDONLY);
    S3Assembler assembler("copy", dst_);
    std::vector<char> buffer(1 << 20);
    for (;;) {
      const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_errno("copy", src_.path, errno);
      if (got == 0) break;
      assembler.add_bytes(buffer.data(), got);
      counters_->bytes += got;
    }
    assembler.finish();
  }

 private:
  Location src_, dst_;
  CopyCounters* counters_;
};

class LargeUpload : public Transfer {
 public:
  LargeUpload(const Location& src, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters), source_(open_source(src)), part_size_(part_size_for(source_.size)) {
    const size_t count = static_cast<size_t>((source_.size + part_size_ - 1) / part_size_);
    parts_.resize(count);
    crcs_.resize(count);
    char absolute[PATH_MAX];
    const std::string path = ::realpath(src.path.c_str(), absolute) ? absolute : src.path;
    note_ = StateNote::take("upload", current_config()->endpoint() + "\n" + dst.str() + "\n" + path);
    if (note_ && !note_->content().empty() && go_on()) return;
    upload_ = s3::create_upload("copy", dst_, /*checksums=*/true, source_.mtime_nsec);
    if (note_) note_->replace(json_text(describe()));
  }

  int part_count() const override { return static_cast<int>(parts_.size()); }

  void run_part(int index) override {
    const size_t i = static_cast<size_t>(index);
    const BodySource whole = body_of_file(source_.file.get(), source_.size, src_.path);
    const BodySource piece = slice(whole, index * part_size_, std::min(part_size_, source_.size - index * part_size_));
    if (parts_[i].number != 0 && still_right(i, piece)) return;
    parts_[i] = s3::upload_part("copy", upload_, index + 1, piece, &crcs_[i]);
    counters_->bytes += piece.size;
  }

  void finish() override {
    uint32_t crc = crcs_[0];
    for (size_t i = 1; i < crcs_.size(); ++i) crc = crc32c_combine(crc, crcs_[i], parts_[i].size);
    s3::complete_upload("copy", upload_, parts_, source_.size, crc32c_base64(crc));
    if (note_) note_->remove();
  }

  void abandon() noexcept override {
    s3::abort_upload(upload_);
    if (note_) note_->remove();
  }

 private:
  nlohmann::json describe() const {
    return {{"upload", upload_.id},
            {"checksums", upload_.checksums},
            {"size", source_.size},
            {"mtime_nsec", source_.mtime_nsec},
            {"part_size", part_size_}};
  }

  // Takes over the parts that an earlier run has sent; false when there is no such upload for this file any more.
  bool go_on() {
    const auto note = parse_json(note_->content(), /*allow_exceptions=*/false);
    if (!note.is_object()) return false;
    upload_ = {dst_, text_member(note, "upload"), note.contains("checksums") && note["checksums"] == true};
    if (upload_.id.empty()) return false;
    if (note != describe()) {  // the file is another one by now
      s3::abort_upload(upload_);
      return false;
    }
    const auto sent = s3::list_parts("copy", upload_);
    if (!sent) return false;
    for (const S3Part& part : *sent) {
      const int64_t offset = (part.number - 1) * part_size_;
      if (part.number < 1 || part.number > part_count()) continue;
      if (part.size == std::min(part_size_, source_.size - offset)) parts_[static_cast<size_t>(part.number - 1)] = part;
    }
    return true;
  }

  // The bytes on disk against the checksum that the store keeps of this part.
  bool still_right(size_t i, const BodySource& piece) {
    std::vector<char> buffer(1 << 20);
    uint32_t crc = 0;
    for (int64_t done = 0; done < piece.size;) {
      const int64_t got =
          piece.read(done, buffer.data(), std::min<int64_t>(static_cast<int64_t>(buffer.size()), piece.size - done));
      crc = crc32c(crc, buffer.data(), static_cast<size_t>(got));
      done += got;
    }
    if (upload_.checksums && parts_[i].checksum != crc32c_base64(crc)) return false;
    crcs_[i] = crc;
    return true;
  }

  Location src_, dst_;
  CopyCounters* counters_;
  OpenSource source_;
  int64_t part_size_;
  std::unique_ptr<StateNote> note_;
  s3::Upload upload_;
  std::vector<S3Part> parts_;
  std::vector<uint32_t> crcs_;
};

}  // namespace

std::unique_ptr<Transfer> make_upload(const Location& src, const Stat& st, const Location& dst,
                                      CopyCounters* counters) {
  if (!S_ISREG(st.mode)) return std::make_unique<PipeUpload>(src, dst, counters);
  if (st.length <= 2 * part_size_for(st.length)) return std::make_unique<SmallUpload>(src, dst, counters);
  return std::make_unique<LargeUpload>(src, dst, counters);
}

}  // namespace mox::file
