// One copy of a folder: copy_parallel, sync, and the first half of a move.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "file/copy_job.h"
#include "file/destination_index.h"
#include "file/progress.h"
#include "file/state_folder.h"

namespace mox::file {

// What a move has copied and looked at; only this may leave the source.
class MovedFiles {
 public:
  void add(const std::string& name, const Stat& st);
  // Under this name, and with this size, time and ETag.
  bool has(const std::string& name, const Stat& st) const;

 private:
  mutable Mutex mu_;
  std::unordered_set<size_t> hashes_ MOX_GUARDED_BY(mu_);  // a million files need a few dozen MiB
};

class FolderCopy {
 public:
  // `title`: the operation, for texts. `moved`: not nullptr for a move.
  FolderCopy(const Location& src, const Location& dst, const CopyOptions& options, const char* title,
             MovedFiles* moved = nullptr);
  CopySummary run();
  // After run(), when its summary has failures: throws what says so.
  [[noreturn]] void throw_failures(const CopySummary& summary) const;

 private:
  struct Later {
    std::string name;
    Stat st;
    bool is_folder = false;
  };

  void add_listed(const std::string& name);
  void add_folder(const std::string& prefix);
  void add_entry(const std::string& name, const DirEntry& entry, std::string* last_folder);
  void make_folder(const std::string& name);
  void add_file(const std::string& name, const Stat& st);
  void send(CopyJob* job, const std::string& name, const Stat& st);
  bool is_there_by_note(const Location& src, const Stat& st, const Location& dst) const;
  void delete_extra();
  void load_note();
  void fail(const std::string& path, const std::exception_ptr& error);
  // Why an entry of the source cannot be copied; "" when it can.
  std::string why_not(const std::string& name, const Stat& st) const;
  CopySummary summarize();

  Location src_, dst_;
  CopyOptions options_;
  const char* title_;
  MovedFiles* moved_;
  std::string source_in_destination_;  // "sub/" when the source is dst/sub; "" when it lies elsewhere
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  CopyCounters counters_;
  std::unique_ptr<StateNote> note_;  // which files an earlier run of this copy finished
  std::unordered_set<std::string> finished_;
  std::unique_ptr<DestinationIndex> there_;  // sync only
  std::vector<Later> later_;                 // what must wait until the destination's extra names are gone
  std::vector<CopyFailure> failures_;
  std::exception_ptr first_error_, fatal_error_;
  int64_t deleted_ = 0;
  CopyJob job_;  // after what its threads use
  Progress progress_;
};

}  // namespace mox::file
