// An object to a local file: one stream, or ranged parts that a later run can go on with.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "file/checksum.h"
#include "file/config.h"
#include "file/copy_local.h"
#include "file/local_file_system.h"
#include "file/s3_transfer.h"
#include "file/s3_whole.h"
#include "file/sigv4.h"
#include "file/state_folder.h"
#include "file/transfer.h"

namespace mox::file {
namespace {

std::unique_ptr<AtomicFile> open_target(const Location& dst, const std::string& suffix) {
  try {
    return std::make_unique<AtomicFile>(dst.path, suffix);
  } catch (const OsError& e) {
    if (e.code() != EEXIST && e.code() != ENOTDIR) throw;
    throw MoxFileNameDuplicateException("copy to '" + dst.path +
                                        "': a file has the name of a folder of this path; a local "
                                        "disk cannot hold both, so choose another destination (" +
                                        e.what() + ")");
  }
}

// curl hands over 16 KiB at a time; gathered to larger writes, the kernel's share is a third less.
class BlockWriter {
 public:
  // One at a time on a thread: the memory is the thread's, which uses it for all its files.
  // `turn`: threads that write to one file at once would only spin for the kernel's lock on it. May be nullptr.
  BlockWriter(int fd, int64_t offset, const std::string& path, Mutex* turn)
      : fd_(fd), offset_(offset), path_(path), turn_(turn) {}

  void add(const char* data, size_t size) {
    while (size > 0) {
      if (!block_) block_ = thread_block();
      const size_t taken = std::min(size, static_cast<size_t>(kBlock - used_));
      std::memcpy(block_ + used_, data, taken);
      used_ += static_cast<int64_t>(taken);
      data += taken;
      size -= taken;
      if (used_ == kBlock) flush();
    }
  }
  // All comes once more.
  void restart() { offset_ = used_ = 0; }
  void flush() {
    if (used_ == 0) return;
    if (turn_) {
      MutexLock lock(*turn_);
      write_block();
    } else {
      write_block();
    }
    offset_ += used_;
    used_ = 0;
  }

 private:
  static constexpr int64_t kBlock = 256 << 10;
  void write_block() { pwrite_fully(fd_, block_, used_, offset_, path_); }
  static char* thread_block() {
    thread_local const auto block = std::make_unique_for_overwrite<char[]>(kBlock);
    return block.get();
  }

  int fd_;
  int64_t offset_, used_ = 0;
  const std::string& path_;
  Mutex* turn_;
  char* block_ = nullptr;
};

class SmallDownload : public Transfer {
 public:
  SmallDownload(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters)
      : src_(src), st_(st), dst_(dst), counters_(counters) {}

  void run_part(int) override {
    const auto target = open_target(dst_, "");
    BlockWriter out(target->fd(), 0, dst_.path, nullptr);
    int64_t counted = 0;
    const s3::ObjectInfo info = s3::get_whole("copy", src_, {.size = st_.length},
                                              {.begin =
                                                   [&](const s3::ObjectInfo&) {
                                                     out.restart();
                                                     counters_->bytes -= std::exchange(counted, 0);
                                                   },
                                               .data =
                                                   [&](const char* data, size_t size) {
                                                     out.add(data, size);
                                                     counters_->bytes += static_cast<int64_t>(size);
                                                     counted += static_cast<int64_t>(size);
                                                   }});
    out.flush();
    target->commit(settled_time(info.mtime_nsec));
  }

 private:
  Location src_;
  Stat st_;
  Location dst_;
  CopyCounters* counters_;
};

// Behind the object's bytes the temporary file keeps which parts are there, until it is complete.
struct Ledger {
  static constexpr uint64_t kMagic = 0x31306b7261706d78;
  uint64_t magic = kMagic;
  int64_t size = 0;
  int64_t part_size = 0;
};
struct LedgerEntry {
  static constexpr uint32_t kDone = 0x646f6e65;
  uint32_t done = 0;
  uint32_t crc = 0;
};

class LargeDownload : public Transfer {
 public:
  LargeDownload(const Location& src, const Stat&, const Location& dst, CopyCounters* counters)
      : src_(src), dst_(dst), counters_(counters) {
    const auto info = s3::head("copy", src);
    if (!info) throw MoxFileNotExistsException("copy '" + src.str() + "': the object was removed meanwhile");
    info_ = *info;
    part_size_ = part_size_for(info_.size);
    entries_.resize(static_cast<size_t>((info_.size + part_size_ - 1) / part_size_));
    const std::string identity = hex_sha256(current_config()->endpoint() + "\n" + src.str() + "\n" + info_.etag);
    // Without an ETag nobody knows whether what is there is of the same object.
    target_ = open_target(dst, info_.etag.empty() ? "" : identity.substr(0, 16));
    resumable_ = !info_.etag.empty() && lock_file(target_->fd(), target_->temporary_path());
    if (resumable_) {
      read_ledger();
    } else if (!info_.etag.empty()) {  // another process loads the same object to the same name: each into its own file
      target_->keep();
      target_ = open_target(dst, "");
    }
  }

  int part_count() const override { return static_cast<int>(entries_.size()); }

  void run_part(int index) override {
    LedgerEntry& entry = entries_[static_cast<size_t>(index)];
    const int64_t offset = index * part_size_;
    const int64_t length = std::min(part_size_, info_.size - offset);
    if (entry.done == LedgerEntry::kDone && crc_on_disk(offset, length) == entry.crc) return;
    uint32_t crc = 0;
    BlockWriter out(target_->fd(), offset, dst_.path, &turn_);
    s3::get("copy", src_, {.offset = offset, .length = length, .etag = info_.etag, .size = info_.size}, nullptr,
            [&](const char* data, size_t size) {
              crc = crc32c(crc, data, size);
              out.add(data, size);
              counters_->bytes += static_cast<int64_t>(size);
            });
    out.flush();
    entry = {LedgerEntry::kDone, crc};
    if (resumable_)
      pwrite_fully(target_->fd(), reinterpret_cast<const char*>(&entry), sizeof entry, entry_offset(index), dst_.path);
  }

  void finish() override {
    resumable_ = false;  // from here on a failure is not one that going on would mend
    if (::ftruncate(target_->fd(), info_.size) != 0) throw_errno("copy", dst_.path, errno);
    verify();
    target_->commit(settled_time(info_.mtime_nsec));
  }

  // What has arrived stays for the next attempt; a part file is never under the destination's name.
  void abandon() noexcept override {
    if (resumable_) target_->keep();
  }

 private:
  int64_t entry_offset(int index) const {
    return info_.size + static_cast<int64_t>(sizeof(Ledger)) + index * static_cast<int64_t>(sizeof(LedgerEntry));
  }

  void read_ledger() {
    Ledger ledger;
    const int64_t got =
        pread_fully(target_->fd(), reinterpret_cast<char*>(&ledger), sizeof ledger, info_.size, dst_.path);
    if (got == sizeof ledger && ledger.magic == Ledger::kMagic && ledger.size == info_.size &&
        ledger.part_size == part_size_) {
      pread_fully(target_->fd(), reinterpret_cast<char*>(entries_.data()),
                  static_cast<int64_t>(entries_.size() * sizeof(LedgerEntry)), entry_offset(0), dst_.path);
      return;
    }
    if (::ftruncate(target_->fd(), 0) != 0) throw_errno("copy", dst_.path, errno);
    ledger = {Ledger::kMagic, info_.size, part_size_};
    pwrite_fully(target_->fd(), reinterpret_cast<const char*>(&ledger), sizeof ledger, info_.size, dst_.path);
  }

  uint32_t crc_on_disk(int64_t offset, int64_t length) {
    std::vector<char> buffer(1 << 20);
    uint32_t crc = 0;
    while (length > 0) {
      const int64_t got =
          pread_fully(target_->fd(), buffer.data(), std::min<int64_t>(length, 1 << 20), offset, dst_.path);
      if (got == 0) break;
      crc = crc32c(crc, buffer.data(), static_cast<size_t>(got));
      offset += got;
      length -= got;
    }
    return crc;
  }

  void verify() {
    if (!info_.crc32c.empty()) {
      uint32_t crc = entries_[0].crc;
      for (size_t i = 1; i < entries_.size(); ++i)
        crc = crc32c_combine(crc, entries_[i].crc,
                             std::min(part_size_, info_.size - static_cast<int64_t>(i) * part_size_));
      if (crc32c_base64(crc) != info_.crc32c) s3::throw_corrupted("copy", src_, info_.crc32c, crc32c_base64(crc));
    } else if (info_.etag_is_md5) {
      Digest md5(Digest::Kind::kMd5);
      std::vector<char> buffer(1 << 20);
      for (int64_t at = 0; at < info_.size;) {
        const int64_t got = pread_fully(target_->fd(), buffer.data(), 1 << 20, at, dst_.path);
        if (got == 0) break;
        md5.update(buffer.data(), static_cast<size_t>(got));
        at += got;
      }
      s3::settle_md5("copy", src_, info_, md5.hex());
    }
  }

  Location src_, dst_;
  CopyCounters* counters_;
  s3::ObjectInfo info_;
  int64_t part_size_ = 0;
  std::vector<LedgerEntry> entries_;
  std::unique_ptr<AtomicFile> target_;
  Mutex turn_;
  bool resumable_ = false;
};

}  // namespace

std::unique_ptr<Transfer> make_download(const Location& src, const Stat& st, const Location& dst,
                                        CopyCounters* counters) {
  if (st.length <= 2 * part_size_for(st.length)) return std::make_unique<SmallDownload>(src, st, dst, counters);
  return std::make_unique<LargeDownload>(src, st, dst, counters);
}

}  // namespace mox::file
