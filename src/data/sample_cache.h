// A cache of whole files on local disk, for sources that are slow to read again.
//
// Entries are written under a temporary name and renamed, carry their key and a checksum, and are checked when read:
// after kill -9 or a full disk an entry is whole or not there. The processes of one host share a folder; the last one
// removes it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "moxing/export.h"
#include "tensorflow/core/platform/tstring.h"

namespace mox::data {

class MOX_EXPORT SampleCache {  // exported for its tests
 public:
  // The cache in `dir`, one object a process and folder; `dir` ENV is the folder in DLS_LOCAL_CACHE_PATH. With
  // remove_on_finish its files go when the last user lets go of it, unless another user of this process wanted to keep
  // them, or another process uses them.
  static std::shared_ptr<SampleCache> open(const std::string& dir, bool remove_on_finish);
  // InvalidArgumentError when `dir` cannot be a cache's place: told before a training starts.
  static void check_folder(const std::string& dir);
  ~SampleCache();
  SampleCache(const SampleCache&) = delete;
  SampleCache& operator=(const SampleCache&) = delete;

  // False when there is no entry; a damaged one is removed.
  bool read(const std::string& key, tensorflow::tstring* value);
  // A write that fails turns writing off, with one warning: a full disk must not stop a training.
  void write(const std::string& key, std::string_view value);
  // Whether writing is still on.
  bool writes() const { return writes_; }
  // The path of a copy of `source` on local disk, made now when it is not there; `source` itself when it cannot be
  // made. The copy is checked by its size only: who finds by the file's own checksums that it is damaged calls
  // remove_copy. `size` -1: unknown.
  std::string local_copy(const std::string& key, const std::string& source, int64_t size);
  void remove_copy(const std::string& path);

  const std::string& folder() const { return folder_; }

 private:
  explicit SampleCache(std::string folder);
  void lock_folder();
  std::string entry_path(const std::string& key) const;
  void remove_abandoned_writes() const;
  std::string temporary_path();
  void stop_writing(const std::string& path, const std::string& reason);

  std::string folder_;
  int in_use_ = -1;  // a file that every process locks while it uses the folder
  std::atomic<bool> keep_{false};
  std::atomic<bool> writes_{true};
  std::atomic<int64_t> count_{0};
};

}  // namespace mox::data
