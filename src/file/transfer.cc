#include "file/transfer.h"

#include "file/config.h"
#include "file/copy_local.h"
#include "file/file_system.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"
#include "file/s3_transfer.h"

namespace mox::file {
namespace {

class LocalTransfer : public Transfer {
 public:
  LocalTransfer(const Location& src, const Location& dst, CopyCounters* counters, bool keep_time)
      : src_(src), dst_(dst), counters_(counters), keep_time_(keep_time) {}
  void run_part(int) override { counters_->bytes += copy_local_file(src_.path, dst_.path, keep_time_); }

 private:
  Location src_, dst_;
  CopyCounters* counters_;
  bool keep_time_;
};

// Up to this size the store copies in one request; above, several parts at once, none of which runs into a time-out.
constexpr int64_t kOneRequest = 128 << 20;

class SmallStoreCopy : public Transfer {
 public:
  SmallStoreCopy(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters)
      : src_(src), st_(st), dst_(dst), counters_(counters) {}
  void run_part(int) override {
    s3::copy_object("copy", src_, dst_);
    counters_->bytes += st_.length;
  }

 private:
  Location src_;
  Stat st_;
  Location dst_;
  CopyCounters* counters_;
};

class LargeStoreCopy : public Transfer {
 public:
  LargeStoreCopy(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters)
      : src_(src), st_(st), counters_(counters) {
    const auto info = s3::head_checked("copy", src);  // parts by a wrong size would leave bytes out
    if (!info) throw MoxFileNotExistsException("copy '" + src.str() + "': the object was removed meanwhile");
    st_.length = info->size;
    st_.etag = info->etag;
    part_size_ = std::max<int64_t>(kOneRequest, part_size_for(st_.length));
    upload_ = s3::create_upload("copy", dst, /*checksums=*/false, {{s3::kCopiedFrom, st_.etag}});
    parts_.resize(static_cast<size_t>((st_.length + part_size_ - 1) / part_size_));
  }
  int part_count() const override { return static_cast<int>(parts_.size()); }
  void run_part(int index) override {
    const int64_t offset = index * part_size_;
    const int64_t length = std::min(part_size_, st_.length - offset);
    parts_[static_cast<size_t>(index)] =
        s3::upload_part_copy("copy", upload_, index + 1, src_, offset, length, st_.etag);
    counters_->bytes += length;
  }
  void finish() override { s3::complete_upload("copy", upload_, parts_, st_.length, ""); }
  void abandon() noexcept override { s3::abort_upload(upload_); }

 private:
  Location src_;
  Stat st_;
  CopyCounters* counters_;
  int64_t part_size_ = 0;
  s3::Upload upload_;
  std::vector<S3Part> parts_;
};

// What is not known better: through the calling thread's memory.
class StreamCopy : public Transfer {
 public:
  StreamCopy(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters)
      : src_(src), st_(st), dst_(dst), counters_(counters) {}
  void run_part(int) override {
    const auto in = file_system(src_).open(src_, parse_mode("rb"));
    if (dst_.is_local()) {
      AtomicFile out(dst_.path, "");
      pump(*in, [&](const char* data, int64_t size) { write_fully(out.fd(), data, size, dst_.path); });
      out.commit(st_.mtime_nsec);
    } else {
      const auto out = file_system(dst_).open(dst_, parse_mode("wb"));
      pump(*in, [&](const char* data, int64_t size) { out->write(data, size); });
      out->close();
    }
  }

 private:
  template <typename Write>
  void pump(Stream& in, const Write& write) {
    constexpr int64_t kBlock = 1 << 20;
    const auto buffer = std::make_unique_for_overwrite<char[]>(kBlock);
    int64_t total = 0;
    while (const int64_t got = in.read(buffer.get(), kBlock)) {
      write(buffer.get(), got);
      counters_->bytes += got;
      total += got;
    }
    in.close();
    // What changed meanwhile may be half of the one and half of the other.
    const auto now = file_system(src_).stat(src_);
    const bool sizes_fit = total == st_.length || (src_.is_local() && st_.length == 0);  // files of /proc tell none
    if (now && sizes_fit && now->length == st_.length && (is_store(src_) || now->mtime_nsec == st_.mtime_nsec)) return;
    throw MoxFileReadException("copy '" + src_.str() + "': the file changed while it was copied: it had " +
                                   std::to_string(st_.length) + " bytes, " + std::to_string(total) +
                                   " were read; copy it again",
                               {});
  }

  Location src_;
  Stat st_;
  Location dst_;
  CopyCounters* counters_;
};

bool is_known(const Location& location) { return location.is_local() || is_store(location); }

}  // namespace

std::unique_ptr<Transfer> make_store_copy(const Location& src, const Stat& st, const Location& dst,
                                          CopyCounters* counters) {
  if (st.length <= kOneRequest) return std::make_unique<SmallStoreCopy>(src, st, dst, counters);
  return std::make_unique<LargeStoreCopy>(src, st, dst, counters);
}

std::unique_ptr<Transfer> make_transfer(const Location& src, const Stat& st, const Location& dst,
                                        CopyCounters* counters, bool keep_time) {
  if (!is_known(src) || !is_known(dst)) return std::make_unique<StreamCopy>(src, st, dst, counters);
  if (src.is_local() && dst.is_local()) return std::make_unique<LocalTransfer>(src, dst, counters, keep_time);
  if (src.is_local()) return make_upload(src, st, dst, counters);
  if (dst.is_local()) return make_download(src, st, dst, counters);
  return make_store_copy(src, st, dst, counters);
}

}  // namespace mox::file
