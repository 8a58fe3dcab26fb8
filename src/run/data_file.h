// A large new file, written beside the work that makes its content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "moxing/export.h"

namespace mox {

// Local files go past the page cache where the file system and a fast disk let them: a page cache costs ten times the
// CPU time, which a training on all cores lacks. A thread of its own writes a block while the next one is filled.
// Other files, and small ones, go through TensorFlow's file systems.
class MOX_EXPORT DataFile {
 public:
  // What a local file is written through; tests choose.
  enum class Way {
    kBest,
    kPageCache,  // as where the disk is slow, or the file system knows no other way
  };

  // Makes `path`, or empties it. `size`: the bytes that will come; the disk has room for them from then on.
  // Throws Error that names the path and what failed; all functions do, append and finish also for what was appended
  // before. The file of a failed one stays, to be removed by who named it.
  DataFile(const std::string& path, uint64_t size, Way way = Way::kBest);
  // Waits for what is being written; what was not finished is a part of the file.
  ~DataFile();

  // Takes a copy of the bytes.
  void append(const char* data, size_t size);
  // Writes the rest and closes; nothing comes after it. As durable as a closed file: nothing is synced.
  void finish();

 private:
  class Target;
  class Local;
  class Remote;
  std::unique_ptr<Target> target_;
};

}  // namespace mox
