// Where broken-off transfers leave a note, so that the next run goes on: $MOX_STATE_DIR, else $XDG_CACHE_HOME/moxing,
// else ~/.cache/moxing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "file/local_file_system.h"

namespace mox::file {

// A note that one process at a time holds. Its name is derived from `identity`. A note that cannot be read or written
// (a full disk, a folder that is gone) is a warning, once a process: the transfer goes on, only it cannot be gone on
// with.
class StateNote {
 public:
  // nullptr when another process holds it, or when there is nowhere to write: then there is no going on later.
  static std::unique_ptr<StateNote> take(const std::string& kind, const std::string& identity);
  // Each note of this kind that no process holds, one after the other, held while `work` runs.
  static void for_each(const std::string& kind, const std::function<void(StateNote&)>& work);
  ~StateNote();

  const std::string& content() const { return content_; }  // what an earlier run left; "" when nothing
  int64_t changed_nsec() const { return changed_nsec_; }   // when; since 1970
  void replace(const std::string& content);
  void append(const std::string& line);
  // The work is done: removes it.
  void remove();

 private:
  StateNote(std::string path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  // nullptr when it cannot be had.
  static std::unique_ptr<StateNote> open(const std::string& path, int flags);
  void write(const std::string& text);
  std::string path_;
  Descriptor file_;
  std::string content_;
  int64_t changed_nsec_ = 0;
  std::atomic<bool> failed_{false};  // a line may be cut off: nothing may follow it
};

// Takes an exclusive lock on an open file; false when somebody else has it or the name no longer leads to it.
bool lock_file(int fd, const std::string& path);

}  // namespace mox::file
