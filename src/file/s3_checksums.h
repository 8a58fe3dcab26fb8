// CRC32C beside the SHA-256 of the signature: the store keeps it, and a later download is checked against it.
#pragma once

#include <cstdint>
#include <string>

#include "file/http.h"
#include "file/s3_request.h"

namespace mox::file::s3 {

struct BodyHash {
  std::string sha256;  // hex
  uint32_t crc32c = 0;
};
// One pass over the body.
BodyHash hash_body(const BodySource& body);

// False once the store of the current settings has refused a checksum header; Huawei's is never asked.
bool checksums_supported();
void note_checksums_unsupported();

// Adds the checksum header; when the store does not know it, repeats without and remembers.
HttpResponse call_with_checksum(S3Call& call, uint32_t crc);
bool refuses_checksums(const HttpResponse& response);

}  // namespace mox::file::s3
