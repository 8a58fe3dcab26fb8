// Multipart uploads that are under way, noted in the state folder: a process that is killed leaves its parts at the
// store, where they are paid for and never seen; the next process removes them.
#pragma once

#include <memory>
#include <string>

#include "file/path.h"
#include "file/state_folder.h"

namespace mox::file {

class UploadMark {
 public:
  // Before the store is asked to begin; nullptr when there is nowhere to write. What cannot be noted is no failure.
  static std::shared_ptr<UploadMark> begin(const Location& object);
  void set_id(const std::string& id);
  // The upload is complete or aborted, or somebody else remembers it.
  void remove();

 private:
  explicit UploadMark(std::unique_ptr<StateNote> note) : note_(std::move(note)) {}
  std::unique_ptr<StateNote> note_;
};

// Once in a process and for each endpoint: aborts uploads whose process is gone, and those that were kept to go on but
// whose source is gone or another file by now. Never fails.
void abort_left_uploads();

}  // namespace mox::file
