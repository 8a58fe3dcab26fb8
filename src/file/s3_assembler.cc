#include "file/s3_assembler.h"

#include <algorithm>

#include "file/config.h"
#include "file/s3_whole.h"
#include "file/worker_pool.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

constexpr int64_t kMostPartsInFlight = 3;
constexpr int64_t kBytesInFlight = 48 << 20;  // parts grow with the object: then fewer at once

}  // namespace

S3Assembler::~S3Assembler() {
  for (auto& part : in_flight_) part.wait();
  if (upload_ && !finished_) s3::abort_upload(*upload_);
}

// Grows with the number of parts: 10,000 of them hold more than 5 TiB, and the first ones stay small.
int64_t S3Assembler::part_size() const { return large_file_part_size() * (1 + parts_started_ / 1000); }

void S3Assembler::wait_for_parts(size_t most_in_flight) {
  while (in_flight_.size() > most_in_flight) {
    std::future<void> part = std::move(in_flight_.front());
    in_flight_.pop_front();
    part.get();  // throws what sending threw
  }
}

void S3Assembler::start_part(std::function<S3Part(const s3::Upload&, int)> send) {
  if (!upload_) upload_ = s3::create_upload(operation_, target_, /*checksums=*/false);
  if (parts_started_ >= s3::kMostParts)
    throw Error(std::string(operation_) + " '" + target_.str() + "': more than " + std::to_string(s3::kMostParts) +
                " parts; set MOX_FILE_LARGE_FILE_PART_SIZE higher");
  wait_for_parts(static_cast<size_t>(std::clamp<int64_t>(kBytesInFlight / part_size(), 1, kMostPartsInFlight) - 1));
  auto part = std::make_shared<S3Part>();
  parts_.push_back(part);
  const int number = ++parts_started_;
  in_flight_.push_back(
      run_in_background([part, number, send = std::move(send), upload = *upload_] { *part = send(upload, number); }));
}

void S3Assembler::send_pending() {
  auto data = std::make_shared<PartBytes>(std::move(pending_));
  pending_.clear();
  start_part([data, operation = operation_](const s3::Upload& upload, int number) {
    const BodySource body = body_of(*data);
    return s3::upload_part(operation, upload, number, body);
  });
}

void S3Assembler::add_bytes(const char* data, int64_t size) {
  size_ += size;
  while (size > 0) {
    const int64_t wanted = part_size();
    const int64_t taken = std::min(size, wanted - static_cast<int64_t>(pending_.size()));
    if (taken > 0) {
      // A whole part is coming together: no growth by doubling beyond its size.
      if (static_cast<int64_t>(pending_.size()) + taken > (1 << 20)) pending_.reserve(static_cast<size_t>(wanted));
      pending_.append(data, static_cast<size_t>(taken));
      data += taken;
      size -= taken;
    }
    if (static_cast<int64_t>(pending_.size()) >= wanted) send_pending();
  }
}

int64_t S3Assembler::download_first(const Location& src, const s3::ObjectInfo& info, int64_t count) {
  // A range has no checksum of its own: it is read twice, and the two must be the same.
  std::string data, again;
  for (std::string* into : {&data, &again})
    s3::get(operation_, src, {.length = count, .etag = info.etag, .size = info.size}, nullptr,
            [&](const char* bytes, size_t size) { into->append(bytes, size); });
  if (data != again)
    throw s3::WrongBytes(std::string(operation_) + " '" + src.str() + "': the first " + std::to_string(count) +
                             " bytes arrived as two different ones; try again",
                         {200, "ChecksumMismatch", "", "", current_config()->host, "/" + src.bucket + "/" + src.key});
  add_bytes(data.data(), static_cast<int64_t>(data.size()));
  return count;
}

void S3Assembler::add_whole(const Location& src, const s3::ObjectInfo& info) {
  const int64_t missing =
      pending_.empty() ? 0 : std::max<int64_t>(0, s3::kSmallestPart - static_cast<int64_t>(pending_.size()));
  // A part in the middle must have 5 MiB: fill up what is waiting from the object.
  if (info.size - missing < s3::kSmallestPart) {
    std::string data;
    s3::get_whole(operation_, src, {.size = info.size, .etag = info.etag},
                  {.begin = [&](const s3::ObjectInfo&) { data.clear(); },
                   .data = [&](const char* bytes, size_t size) { data.append(bytes, size); }});
    add_bytes(data.data(), static_cast<int64_t>(data.size()));
    return;
  }
  int64_t offset = missing > 0 ? download_first(src, info, missing) : 0;
  int64_t length = info.size - offset;
  if (!pending_.empty()) send_pending();
  size_ += length;
  while (length > 0) {
    // Halves, so that the last one is not too small.
    const int64_t part = length <= s3::kLargestPart ? length : std::min(s3::kLargestPart, length / 2);
    start_part([src, offset, part, etag = info.etag, operation = operation_](const s3::Upload& upload, int number) {
      return s3::upload_part_copy(operation, upload, number, src, offset, part, etag);
    });
    offset += part;
    length -= part;
  }
}

S3Assembler::Result S3Assembler::finish() {
  Result result{size_, ""};
  if (!upload_) {
    result.etag = s3::put(operation_, target_, body_of(pending_)).etag;
  } else {
    if (!pending_.empty()) send_pending();
    wait_for_parts(0);
    std::vector<S3Part> parts;
    for (const auto& part : parts_) parts.push_back(*part);
    result.etag = s3::complete_upload(operation_, *upload_, parts, size_, "");
  }
  finished_ = true;
  return result;
}

std::optional<std::string> S3Assembler::small_content() const {
  if (upload_) return std::nullopt;
  return std::string(pending_);
}

}  // namespace mox::file
