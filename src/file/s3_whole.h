// Whole objects, checked: against the CRC32C that the store keeps, else against an ETag that is an MD5, else the size.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "file/checksum.h"
#include "file/s3_client.h"

namespace mox::file::s3 {

// The checksum of what arrives, in order: the one that the store's answer offers.
class ContentCheck {
 public:
  explicit ContentCheck(const ObjectInfo& info);
  void update(const char* data, size_t size);
  // Ends it. Asks the store for its checksum where the answer had none; when an MD5 does not fit, reads the object once
  // more, cut otherwise: the same bytes twice are the object's, and its ETag is no MD5 (a warning says so). WrongBytes
  // when the bytes are not those that the store keeps.
  void verify(const char* operation, const Location& object);

 private:
  ObjectInfo info_;
  uint32_t crc_ = 0;
  std::unique_ptr<Digest> md5_;
};

struct WholeSink {
  std::function<void(const ObjectInfo&)> begin;   // before the first byte; again when all comes once more
  std::function<void(const char*, size_t)> data;  // in order
};
struct KnownObject {
  int64_t size = -1;      // as HEAD or a listing says
  std::string etag = {};  // "" : any
};
// Reads it in one request, and when its checksum does not fit once more. WrongBytes as above.
ObjectInfo get_whole(const char* operation, const Location& object, const KnownObject& known, const WholeSink& sink);

// `got` is what arrived, as base64 CRC32C or hex MD5.
[[noreturn]] void throw_corrupted(const char* operation, const Location& object, const std::string& expected,
                                  const std::string& got);
// After an MD5 of all bytes that is not the ETag: returns when the ETag is no MD5, else throw_corrupted.
void settle_md5(const char* operation, const Location& object, const ObjectInfo& info, const std::string& md5);

}  // namespace mox::file::s3
