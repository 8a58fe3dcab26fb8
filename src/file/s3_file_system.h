// s3:// and obs://. A folder is a prefix that ends with '/': it exists when any key begins with it.
#pragma once

#include "file/file_system.h"

namespace mox::file {

class S3FileSystem : public FileSystem {
 public:
  std::optional<Stat> stat(const Location& location) override;
  bool list(const Location& folder, bool recursive, const EntryVisitor& visit) override;
  void read_to(const Location& location, const std::function<char*(int64_t)>& allocate) override;
  void write(const Location& location, std::string_view data) override;
  void append(const Location& location, std::string_view data) override;
  std::unique_ptr<Stream> open(const Location& location, const OpenMode& mode) override;
  void make_folder(const Location& location, bool parents) override;
  void remove_file(const Location& location) override;
  void remove_folder(const Location& location) override;
};

// dst = dst + src, both in the store.
void append_object(const Location& src, const Location& dst);

}  // namespace mox::file
