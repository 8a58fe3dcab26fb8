// The store's operations, one function each. All take the user's operation for error texts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "file/http.h"
#include "file/path.h"
#include "file/s3_xml.h"
#include "file/sigv4.h"
#include "file/upload_mark.h"
#include "moxing/file_error.h"

namespace mox::file::s3 {

inline constexpr int64_t kSmallestPart = 5 << 20;   // of a multipart upload, but the last
inline constexpr int64_t kLargestPart = 5LL << 30;  // and of a CopyObject
inline constexpr int kMostParts = 10000;

struct ObjectInfo {
  int64_t size = 0;  // known: from an answer that was whole and said so
  int64_t mtime_nsec = 0;
  std::string etag;          // without quotes; "W/" stays
  std::string crc32c;        // base64, of the whole object; "" when the store has none
  std::string source_mtime;  // nanoseconds of the local file that it was made from; "" when unknown
  std::string copied_from;   // ETag of the object that it was copied from; "" when unknown
  bool etag_is_md5 = false;
};

// nullopt when there is no such object. An answer to HEAD has no body: one that refuses, or does not tell a size that
// can be right, is asked again by GET, whose answer says why.
std::optional<ObjectInfo> head(const char* operation, const Location& object);
// The same for who would lose data by a wrong size: HEAD and GET agree about it, or MoxFileReadException.
std::optional<ObjectInfo> head_checked(const char* operation, const Location& object);
bool bucket_exists(const char* operation, const Location& bucket);
void create_bucket(const char* operation, const Location& bucket);
// An empty one; silent when missing.
void remove_bucket(const char* operation, const Location& bucket);

struct GetOptions {
  int64_t offset = 0;
  int64_t length = -1;    // -1: to the end
  std::string etag = {};  // "" : any; otherwise the read fails when the object is another one by now
  int64_t size = -1;      // the object's, as HEAD or a listing says; -1: not known
  bool ranged = true;     // false: no Range header, for a whole object; the store sends its checksum then. With a
                          // `length` the connection is broken off when the object has more.
};
// The answers of the store disagree about the object's size, or its bytes are not those of its checksum.
class WrongBytes : public MoxFileReadException {
 public:
  using MoxFileReadException::MoxFileReadException;
};
// Hands over the bytes in order; `on_info` comes first (size is that of the whole object). Goes on where it was when a
// connection breaks. Returns the information. An offset at or behind the end gives no bytes. WrongBytes when the size
// that the store tells stays another one than `options.size` or than what HEAD says.
ObjectInfo get(const char* operation, const Location& object, const GetOptions& options,
               const std::function<void(const ObjectInfo&)>& on_info,
               const std::function<void(const char*, size_t)>& on_data);

struct PutResult {
  std::string etag;
};
struct PutOptions {
  int64_t source_mtime_nsec = 0;  // kept as metadata when not 0
};
PutResult put(const char* operation, const Location& object, const BodySource& body, const PutOptions& options = {});

// Inside the store; up to kLargestPart. The store said that it is done.
void copy_object(const char* operation, const Location& src, const Location& dst);

struct Upload {
  Location object;
  std::string id;
  bool checksums = false;                 // parts carry CRC32C
  std::shared_ptr<UploadMark> mark = {};  // for the case that this process is killed; may be nullptr
};
// Metadata: the time in nanoseconds of the local file, the ETag of the object, that the new object is made from.
inline constexpr char kSourceTime[] = "x-amz-meta-moxing-mtime";
inline constexpr char kCopiedFrom[] = "x-amz-meta-moxing-copied-from";
// `metadata` with an empty value is left out.
Upload create_upload(const char* operation, const Location& object, bool checksums, const Headers& metadata = {});
// `crc` receives the part's CRC32C.
S3Part upload_part(const char* operation, const Upload& upload, int number, const BodySource& body,
                   uint32_t* crc = nullptr);
S3Part upload_part_copy(const char* operation, const Upload& upload, int number, const Location& src, int64_t offset,
                        int64_t length, const std::string& src_etag);
// `full_crc` is the CRC32C of the whole, "" when unknown; `size` is checked against the store's.
std::string complete_upload(const char* operation, const Upload& upload, const std::vector<S3Part>& parts, int64_t size,
                            const std::string& full_crc);
// Never throws: it runs while something else has failed already.
void abort_upload(const Upload& upload) noexcept;
// False when there is no such upload.
bool abort_upload_or_throw(const Upload& upload);
// nullopt when the upload is gone.
std::optional<std::vector<S3Part>> list_parts(const char* operation, const Upload& upload);
// All of them, page by page.
std::vector<S3Upload> list_uploads(const char* operation, const Location& prefix);

// Where a page of a listing begins: what the page before said.
struct PageStart {
  std::string text = {};
  bool is_name = false;
};
// One page below the key of `prefix`; `delimiter` "/" or "". All names begin with the prefix: what a store gives beside
// them is a DataError.
S3Page list_page(const char* operation, const Location& prefix, const std::string& delimiter, const PageStart& from,
                 int max_keys);

void remove_object(const char* operation, const Location& object);
// Up to 1000 at once, exactly these keys; throws for the first that could not go.
void remove_objects(const char* operation, const Location& bucket, const std::vector<std::string>& keys);

// Huawei's append: nullopt when the object was not made by append. Returns the next position.
std::optional<int64_t> append_at(const char* operation, const Location& object, int64_t position,
                                 const BodySource& body);

}  // namespace mox::file::s3
