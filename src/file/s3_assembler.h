// Builds one object from bytes and from ranges of other objects, in order, with little memory: a multipart upload whose
// parts are sent in the background, or a single PUT when all is small.
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "file/part_bytes.h"
#include "file/s3_client.h"

namespace mox::file {

class S3Assembler {
 public:
  S3Assembler(const char* operation, const Location& target) : operation_(operation), target_(target) {}
  // What was not finished leaves nothing behind.
  ~S3Assembler();
  S3Assembler(const S3Assembler&) = delete;
  S3Assembler& operator=(const S3Assembler&) = delete;

  void add_bytes(const char* data, int64_t size);
  // Another object: what is small is read, verified as a copy is, and what is not is moved inside the store. The size
  // must be known for certain (s3::head_checked, or the store's answer to what this program wrote).
  void add_whole(const Location& src, const s3::ObjectInfo& info);

  struct Result {
    int64_t size = 0;
    std::string etag;
  };
  // Makes the object visible.
  Result finish();

  // The content so far, while it is small enough to be all in memory; nullopt otherwise.
  std::optional<std::string> small_content() const;
  int64_t size() const { return size_; }

 private:
  // The first bytes of an object, so many that what waits before them makes a part.
  int64_t download_first(const Location& src, const s3::ObjectInfo& info, int64_t count);
  void send_pending();
  void start_part(std::function<S3Part(const s3::Upload&, int)> send);
  void wait_for_parts(size_t most_in_flight);
  int64_t part_size() const;

  const char* operation_;
  Location target_;
  PartBytes pending_;  // not sent yet; less than a part
  std::optional<s3::Upload> upload_;
  int parts_started_ = 0;
  std::vector<std::shared_ptr<S3Part>> parts_;
  std::deque<std::future<void>> in_flight_;
  int64_t size_ = 0;
  bool finished_ = false;
};

}  // namespace mox::file
