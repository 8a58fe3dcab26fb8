// Whole contents between the store and memory or an open file, in parallel parts.
#pragma once

#include <functional>

#include "file/s3_client.h"

namespace mox::file {

// Calls `allocate(size)` and fills what it returns by several reads at once, verified as a copy is. Calls it again when
// the store's first answer turned out to be wrong.
void read_object(const char* operation, const Location& object, const std::function<char*(int64_t)>& allocate);

// Replaces the object; above a few parts as a multipart upload with several parts in flight.
s3::PutResult upload_body(const char* operation, const Location& object, const BodySource& body);

// The bytes of a source from `offset` on.
BodySource slice(const BodySource& body, int64_t offset, int64_t size);
// An open file, by pread.
BodySource body_of_file(int fd, int64_t size, const std::string& path);

// A part size with which `size` bytes need few enough parts.
int64_t part_size_for(int64_t size);

}  // namespace mox::file
