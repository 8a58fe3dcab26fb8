// The one place where data sets read a whole file.
#pragma once

#include <string>

namespace mox::data {

// The content of the file at `path`. NotFoundError when it is missing, DataError when it cannot be read.
std::string read_whole_file(const std::string& path);
bool file_exists(const std::string& path);
// "folder/name".
std::string join_path(const std::string& folder, const std::string& name);

// `content` of `path`, unpacked when it is gzip (told by its first bytes). DataError with the offset in the packed
// file when it is truncated or damaged.
std::string gunzip_if_packed(const std::string& path, std::string content);

}  // namespace mox::data
