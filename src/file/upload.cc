// A local file to the store: one PUT, or a multipart upload that a later run can go on with.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_text.h"
#include "file/checksum.h"
#include "file/config.h"
#include "file/local_source.h"
#include "file/path_guard.h"
#include "file/s3_assembler.h"
#include "file/s3_transfer.h"
#include "file/sigv4.h"
#include "file/state_folder.h"
#include "file/transfer.h"
#include "file/upload_mark.h"

namespace mox::file {
namespace {

BodySource counted(BodySource body, CopyCounters* counters) {
  counters->bytes += body.size;
  return body;
}

// A file's bytes; the last of them only when the file is still what it was at the beginning: what was sent before goes
// nowhere then.
BodySource body_of_source(const LocalSource& source) {
  const BodySource body = body_of_file(source.file.get(), source.size, source.path);
  return {body.size, [read = body.read, &source](int64_t offset, char* into, int64_t count) {
            const int64_t got = read(offset, into, count);
            if (offset + count == source.size) source.check_unchanged();
            return got;
          }};
}

// What has no size beforehand: a pipe, a device, a large file of /proc.
void upload_to_its_end(const LocalSource& source, const Location& dst, CopyCounters* counters) {
  S3Assembler assembler("copy", dst);
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t got = ::read(source.file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("copy", source.path, errno);
    if (got == 0) break;
    assembler.add_bytes(buffer.data(), got);
    counters->bytes += got;
  }
  source.check_unchanged();
  assembler.finish();
}

class SmallUpload : public Transfer {
 public:
  SmallUpload(const Location& src, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters) {}
  void run_part(int) override {
    const LocalSource source(src_.path);
    // Most files fit into memory: read once, for the checksums and for the request.
    constexpr int64_t kInMemory = 1 << 20;
    const PutOptions options{source.mtime_nsec};
    if (source.size > kInMemory) {
      s3::put("copy", dst_, counted(body_of_source(source), counters_), options);
      return;
    }
    thread_local const auto memory = std::make_unique_for_overwrite<char[]>(kInMemory + 1);
    // To its end, whatever size it told: files of /proc tell none, those of /sys too much.
    const int64_t size = pread_fully(source.file.get(), memory.get(), kInMemory + 1, 0, src_.path);
    source.check_unchanged();
    if (size > kInMemory) return upload_to_its_end(source, dst_, counters_);
    s3::put("copy", dst_, counted(body_of({memory.get(), static_cast<size_t>(size)}), counters_), options);
  }

 private:
  using PutOptions = s3::PutOptions;
  Location src_, dst_;
  CopyCounters* counters_;
};

class PipeUpload : public Transfer {
 public:
  PipeUpload(const Location& src, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters) {}
  void run_part(int) override { upload_to_its_end(LocalSource(src_.path), dst_, counters_); }

 private:
  Location src_, dst_;
  CopyCounters* counters_;
};

class LargeUpload : public Transfer {
 public:
  LargeUpload(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters), source_(src.path), part_size_(part_size_for(source_.size)) {
    if (source_.size != st.length)
      throw MoxFileReadException("copy '" + src.path + "': the file changed while it was copied: it had " +
                                     std::to_string(st.length) + " bytes and now has " + std::to_string(source_.size) +
                                     "; copy it again when nobody writes to it",
                                 {});
    const size_t count = static_cast<size_t>((source_.size + part_size_ - 1) / part_size_);
    parts_.resize(count);
    crcs_.resize(count);
    abort_left_uploads();
    path_ = resolved_path(src.path);
    note_ = StateNote::take("upload", current_config()->endpoint() + "\n" + dst.str() + "\n" + path_);
    if (note_ && !note_->content().empty() && go_on()) return;
    upload_ =
        s3::create_upload("copy", dst_, /*checksums=*/true, {{s3::kSourceTime, std::to_string(source_.mtime_nsec)}});
    if (!note_) return;
    note_->replace(json_text(describe()));
    if (upload_.mark) upload_.mark->remove();  // a later run goes on with it
    upload_.mark.reset();
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
    source_.check_unchanged();
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
            {"part_size", part_size_},
            // For whoever finds that this upload will never go on.
            {"endpoint", current_config()->endpoint()},
            {"bucket", dst_.bucket},
            {"key", percent_encode(dst_.key, false)},
            {"source", percent_encode(path_, false)}};
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
  LocalSource source_;
  int64_t part_size_;
  std::string path_;  // of the source, resolved
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
  return std::make_unique<LargeUpload>(src, st, dst, counters);
}

}  // namespace mox::file
