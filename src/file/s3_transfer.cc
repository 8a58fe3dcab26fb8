#include "file/s3_transfer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <new>
#include <stdexcept>

#include "file/checksum.h"
#include "file/config.h"
#include "file/local_file_system.h"
#include "file/lost_upload.h"
#include "file/s3_whole.h"
#include "file/worker_pool.h"
#include "moxing/file_error.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

// Runs part(0) … part(count - 1) on this thread and helpers; the first exception is thrown when all have ended.
void for_each_part(int count, const std::function<void(int)>& part) {
  std::atomic<int> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    for (int i = next++; i < count && !failed; i = next++) {
      try {
        part(i);
      } catch (...) {
        failed = true;
        throw;
      }
    }
  };
  std::vector<std::future<void>> helpers;
  for (int i = 1; i < std::min(count, large_file_task_num()); ++i) helpers.push_back(run_in_background(work));
  std::exception_ptr thrown;
  const auto keep_first = [&thrown](const auto& run) {
    try {
      run();
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  };
  keep_first(work);
  for (auto& helper : helpers) keep_first([&] { helper.get(); });
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

int64_t part_size_for(int64_t size) {
  constexpr int64_t kMostParts = 9000, kUsualParts = 32, kMiB = 1 << 20;
  const auto in_parts = [size](int64_t parts) { return ((size + parts - 1) / parts + kMiB - 1) / kMiB * kMiB; };
  // Fewer requests are faster; more parts lose less when a transfer is broken off.
  const int64_t usual = std::clamp(in_parts(kUsualParts), 8 * kMiB, 64 * kMiB);
  return std::max(wanted_part_size().value_or(usual), in_parts(kMostParts));
}

BodySource slice(const BodySource& body, int64_t offset, int64_t size) {
  return {size,
          [read = body.read, offset](int64_t at, char* into, int64_t count) { return read(offset + at, into, count); }};
}

BodySource body_of_file(int fd, int64_t size, const std::string& path) {
  return {size, [fd, path](int64_t offset, char* into, int64_t count) {
            const int64_t got = pread_fully(fd, into, count, offset, path);
            if (got != count)
              throw MoxFileReadException(
                  "read '" + path + "': the file became shorter while it was sent; copy it again", {});
            return got;
          }};
}

namespace {

char* allocate_for(const char* operation, const Location& object, const std::function<char*(int64_t)>& allocate,
                   int64_t size) {
  const auto too_large = [&] {
    return Error(std::string(operation) + " '" + object.str() + "': its " + std::to_string(size) +
                 " bytes do not fit into memory; open it as a file and read it piece by piece");
  };
  try {
    return allocate(size);
  } catch (const std::bad_alloc&) {
    throw too_large();
  } catch (const std::length_error&) {
    throw too_large();
  }
}

// One attempt: the first part tells size and checksum, the rest comes in several parts at once. `known` is the size as
// HEAD says, -1: not asked.
void read_object_once(const char* operation, const Location& object, int64_t known,
                      const std::function<char*(int64_t)>& allocate) {
  char* data = nullptr;
  int64_t received = 0;
  const s3::ObjectInfo info = s3::get(
      operation, object, {.length = large_file_part_size(), .size = known, .ranged = false},
      [&](const s3::ObjectInfo& found) { data = allocate_for(operation, object, allocate, found.size); },
      [&](const char* bytes, size_t size) {
        std::memcpy(data + received, bytes, size);
        received += static_cast<int64_t>(size);
      });
  const int64_t rest = info.size - received;
  const int64_t part = part_size_for(rest);
  if (rest > 0)
    for_each_part(static_cast<int>((rest + part - 1) / part), [&](int index) {
      const int64_t offset = received + index * part;
      char* into = data + offset;
      s3::get(operation, object,
              {.offset = offset, .length = std::min(part, info.size - offset), .etag = info.etag, .size = info.size},
              nullptr, [&into](const char* bytes, size_t size) {
                std::memcpy(into, bytes, size);
                into += size;
              });
    });
  s3::ContentCheck check(info);
  check.update(data, static_cast<size_t>(info.size));
  check.verify(operation, object);
}

}  // namespace

void read_object(const char* operation, const Location& object, const std::function<char*(int64_t)>& allocate) {
  constexpr int kTries = 3;
  int64_t known = -1;
  for (int i = 1;; ++i) {
    try {
      return read_object_once(operation, object, known, allocate);
    } catch (const s3::WrongBytes& e) {
      if (i == kTries) throw;
      log_debug(std::string(e.what()) + ": reading it once more");
    }
    const auto there = s3::head_checked(operation, object);
    if (!there) throw MoxFileNotExistsException(std::string(operation) + " '" + object.str() + "': no such file");
    known = there->size;
  }
}

namespace {

s3::PutResult upload_in_parts(const char* operation, const Location& object, const BodySource& body, int64_t part) {
  const s3::Upload upload = s3::create_upload(operation, object, /*checksums=*/true);
  const int count = static_cast<int>((body.size + part - 1) / part);
  std::vector<S3Part> parts(static_cast<size_t>(count));
  std::vector<uint32_t> crcs(static_cast<size_t>(count));
  try {
    for_each_part(count, [&](int i) {
      const BodySource piece = slice(body, i * part, std::min(part, body.size - i * part));
      parts[static_cast<size_t>(i)] = s3::upload_part(operation, upload, i + 1, piece, &crcs[static_cast<size_t>(i)]);
    });
    uint32_t crc = crcs[0];
    for (size_t i = 1; i < crcs.size(); ++i) crc = crc32c_combine(crc, crcs[i], parts[i].size);
    return {s3::complete_upload(operation, upload, parts, body.size, crc32c_base64(crc))};
  } catch (...) {
    s3::abort_upload(upload);
    throw;
  }
}

}  // namespace

s3::PutResult upload_body(const char* operation, const Location& object, const BodySource& body) {
  const int64_t part = part_size_for(body.size);
  if (body.size <= 2 * part) return s3::put(operation, object, body);
  try {
    return upload_in_parts(operation, object, body, part);
  } catch (const LostUpload& e) {
    log_warning(std::string(e.what()) + ": sending it once more");
  }
  return upload_in_parts(operation, object, body, part);
}

}  // namespace mox::file
