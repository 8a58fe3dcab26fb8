// One file on its way from one storage to another, in parts that may run on several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "file/path.h"
#include "moxing/file.h"

namespace mox::file {

// What a copy has moved so far; shared by all its transfers.
struct CopyCounters {
  std::atomic<int64_t> bytes{0};
  std::atomic<int64_t> files{0};
  std::atomic<int64_t> skipped{0};
  std::atomic<int64_t> failed{0};
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual int part_count() const { return 1; }
  // Each index once, in any order, from any thread.
  virtual void run_part(int index) = 0;
  // After the last part: makes the file visible under its name.
  virtual void finish() {}
  // Instead of finish() when a part failed: leaves nothing behind.
  virtual void abandon() noexcept {}
};

// `st` is the source's. The destination names the file itself, not a folder. `keep_time`: of a local copy of a local
// file; one of an object always takes over the object's time.
std::unique_ptr<Transfer> make_transfer(const Location& src, const Stat& st, const Location& dst,
                                        CopyCounters* counters, bool keep_time);

std::unique_ptr<Transfer> make_upload(const Location& src, const Stat& st, const Location& dst, CopyCounters* counters);
std::unique_ptr<Transfer> make_download(const Location& src, const Stat& st, const Location& dst,
                                        CopyCounters* counters);
std::unique_ptr<Transfer> make_store_copy(const Location& src, const Stat& st, const Location& dst,
                                          CopyCounters* counters);

}  // namespace mox::file
