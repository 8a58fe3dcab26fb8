// Where data sets meet files. Object stores are reached through mox::file, local files are read directly.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unpacked_ahead.h"
#include "moxing/export.h"
#include "tensorflow/core/platform/file_system.h"
#include "tensorflow/core/platform/tstring.h"

namespace mox::data {

// What is read whole is not larger: decoders count bytes in an int.
constexpr int64_t kMostFileBytes = std::numeric_limits<int32_t>::max();
constexpr int64_t kMostTextBytes = 64 << 20;  // of a list of names

// The content of the file at `path`. NotFoundError when it is missing, DataError when it cannot be read, is no file or
// has more than `most` bytes.
std::string read_whole_file(const std::string& path, int64_t most = kMostFileBytes);
bool file_exists(const std::string& path);
// A reader never sees half of it. Makes the folders.
void write_whole_file(const std::string& path, const std::string& content);

void copy_file(const std::string& from, const std::string& to);
void make_folders(const std::string& folder);
// With all that is in it.
void remove_folder(const std::string& folder);

// "folder/name".
std::string join_path(const std::string& folder, const std::string& name);
// Whether `path` is the folder, or in it; links of local paths are followed.
bool is_same_or_below(const std::string& path, const std::string& folder);

// Whether it ends as the names of images do.
MOX_EXPORT bool has_image_extension(const std::string& name);

// What is left out of a listing: counted, and the first few named.
class LeftOut {
 public:
  void add(const std::string& name);
  void add(const LeftOut& other, const std::string& prefix);
  int64_t count() const { return count_; }
  // "a/.x, a/y.txt and 3 more".
  std::string text() const;

 private:
  static constexpr size_t kNamed = 5;
  int64_t count_ = 0;
  std::vector<std::string> named_;
};

struct FolderEntry {
  std::string name;  // without the folder
  bool is_folder = false;
  int64_t size = 0;  // -1: not known, as of a link that leads nowhere
  int64_t mtime_nsec = 0;
};
class WaitLog;
struct ListOptions {
  int threads = 1;              // that ask for the files' sizes: of a folder with many, on a file system that is slow
  WaitLog* wait_log = nullptr;  // is told of what was found
};
// In byte order of the names. Left out are hidden names (".x"), symbolic links back to a folder above, and what is
// neither a file nor a folder (a pipe: reading it would never end). NotFoundError when there is no such folder.
std::vector<FolderEntry> list_folder(const std::string& folder, LeftOut* left_out = nullptr,
                                     const ListOptions& options = {});

// The files of `folder` that match one of the patterns (* ? [..], of names alone): FOLDER/NAME where a pattern has a
// folder part, which is below `folder` and no pattern. In byte order, each once.
std::vector<FolderEntry> matching_files(const std::string& folder, const std::vector<std::string>& patterns);
// The pattern of the TFRecord files in the folder: *.tfrecord, or train-00000-of-00005 and the like; "" when there are
// none.
std::string records_pattern(const std::string& folder);

// Reads the file into `content`; from an object store in one request. The status names the path.
absl::Status read_into(const std::string& path, tensorflow::tstring* content);

// For reads at an offset. The second one throws.
absl::Status open_random(const std::string& path, std::unique_ptr<tensorflow::RandomAccessFile>* file);
std::unique_ptr<tensorflow::RandomAccessFile> open_random(const std::string& path);

// What a file holds, from its begin on; unpacked when it is gzip (told by its first bytes).
class UnpackedFile {
 public:
  // Reads the file, packed as it is, unless unpack_ahead() has. Errors as those of read_whole_file.
  explicit UnpackedFile(std::string path);
  ~UnpackedFile();
  // The next `size` bytes; how many there were: less at the end. DataError with the offset in the packed file when
  // that is truncated or damaged, or unpacks to more than any data set has.
  size_t read(char* to, size_t size);
  // All that comes.
  std::string rest();

 private:
  class Inflater;
  const std::string path_;
  const std::optional<UnpackedBytes> ahead_;  // was unpacked before; then content_ is empty
  const std::string content_;
  std::unique_ptr<Inflater> inflater_;  // nullptr: the file is not packed
  size_t at_ = 0;                       // of what was read, unpacked
};

}  // namespace mox::data
