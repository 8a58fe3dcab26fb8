// s3://, obs:// and what register_file_system brings, for TensorFlow's own readers, writers, checkpoints, summaries and
// tf.io.gfile. Registered when the library is loaded, or the file system is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensorflow/core/platform/file_system.h"

namespace mox::tf_files {

class StoreFileSystem : public tensorflow::FileSystem {
 public:
  TF_USE_FILESYSTEM_METHODS_WITH_NO_TRANSACTION_SUPPORT;
  using Token = tensorflow::TransactionToken;

  absl::Status NewRandomAccessFile(const std::string& path, Token*,
                                   std::unique_ptr<tensorflow::RandomAccessFile>* result) override;
  absl::Status NewWritableFile(const std::string& path, Token*,
                               std::unique_ptr<tensorflow::WritableFile>* result) override;
  absl::Status NewAppendableFile(const std::string& path, Token*,
                                 std::unique_ptr<tensorflow::WritableFile>* result) override;
  absl::Status NewReadOnlyMemoryRegionFromFile(const std::string& path, Token*,
                                               std::unique_ptr<tensorflow::ReadOnlyMemoryRegion>* result) override;

  absl::Status FileExists(const std::string& path, Token*) override;
  absl::Status IsDirectory(const std::string& path, Token*) override;
  absl::Status Stat(const std::string& path, Token*, tensorflow::FileStatistics* result) override;
  absl::Status GetFileSize(const std::string& path, Token*, uint64_t* size) override;
  absl::Status GetChildren(const std::string& folder, Token*, std::vector<std::string>* names) override;
  absl::Status GetMatchingPaths(const std::string& pattern, Token*, std::vector<std::string>* paths) override;

  absl::Status CreateDir(const std::string& folder, Token*) override;
  absl::Status RecursivelyCreateDir(const std::string& folder, Token*) override;
  absl::Status DeleteFile(const std::string& path, Token*) override;
  // Of an empty folder only, as on a disk.
  absl::Status DeleteDir(const std::string& folder, Token*) override;
  absl::Status DeleteRecursively(const std::string& folder, Token*, int64_t* undeleted_files,
                                 int64_t* undeleted_dirs) override;
  // Files and folders; inside the store.
  absl::Status RenameFile(const std::string& from, const std::string& to, Token*) override;
  absl::Status CopyFile(const std::string& from, const std::string& to, Token*) override;

  // False: an object appears whole when it is closed, so writers need no temporary name.
  absl::Status HasAtomicMove(const std::string& path, bool* has_atomic_move) override;
  // Keys may hold "//" and "..": as they are.
  std::string TranslateName(const std::string& name) const override { return name; }
};

}  // namespace mox::tf_files
