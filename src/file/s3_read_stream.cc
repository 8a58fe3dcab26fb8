#include <algorithm>
#include <cerrno>
#include <cstring>

#include "file/s3_streams.h"
#include "file/worker_pool.h"

namespace mox::file {
namespace {

constexpr int64_t kFirstChunk = 256 << 10;
constexpr int64_t kLargestChunk = 8 << 20;
constexpr size_t kDeepest = 4;  // chunks in flight: 32 MiB at most

[[noreturn]] void throw_not_writable(const Location& object) {
  throw OsError(EBADF, "write '" + object.str() + "': the file is open for reading only; open it with mode w, a or r+");
}

}  // namespace

struct S3ReadStream::Chunk {
  int64_t offset = 0;
  int64_t length = 0;
  std::string data;
  std::future<void> loaded;
};

S3ReadStream::S3ReadStream(const Location& object)
    : object_(object), next_length_(kFirstChunk), largest_(kLargestChunk) {
  open_first();
}

void S3ReadStream::set_read_ahead(int64_t bytes) {
  largest_ = std::clamp(bytes / static_cast<int64_t>(kDeepest), kFirstChunk, kLargestChunk);
}

S3ReadStream::~S3ReadStream() { close(); }

// The first range answers two questions at once: is it there, and how large is it.
void S3ReadStream::open_first() {
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    try {
      return read_first();
    } catch (const s3::WrongBytes&) {
      if (i == kTries) throw;
    }
  }
}

void S3ReadStream::read_first() {
  auto chunk = std::make_shared<Chunk>();
  info_ = s3::get("open", object_, {.offset = 0, .length = kFirstChunk}, nullptr,
                  [&](const char* data, size_t size) { chunk->data.append(data, size); });
  chunk->length = static_cast<int64_t>(chunk->data.size());
  check_.emplace(*info_);
  checked_ = 0;
  failed_ = nullptr;
  if (chunk->length == info_->size) check(chunk->data.data(), 0, chunk->length);
  std::promise<void> done;
  done.set_value();
  chunk->loaded = done.get_future();
  if (chunk->length > 0) chunks_.push_back(std::move(chunk));
}

void S3ReadStream::start_chunk(int64_t offset, int64_t length) {
  auto chunk = std::make_shared<Chunk>();
  chunk->offset = offset;
  chunk->length = std::min(length, info_->size - offset);
  chunk->loaded = run_in_background([chunk, object = object_, etag = info_->etag, size = info_->size] {
    chunk->data.reserve(static_cast<size_t>(chunk->length));
    s3::get("read", object, {.offset = chunk->offset, .length = chunk->length, .etag = etag, .size = size}, nullptr,
            [&](const char* data, size_t size) { chunk->data.append(data, size); });
  });
  chunks_.push_back(std::move(chunk));
}

void S3ReadStream::fill_queue() {
  while (chunks_.size() < depth_) {
    const int64_t next = chunks_.empty() ? position_ : chunks_.back()->offset + chunks_.back()->length;
    if (next >= info_->size) return;
    start_chunk(next, next_length_);
    next_length_ = std::min(next_length_ * 2, largest_);
  }
}

S3ReadStream::Chunk* S3ReadStream::current_chunk() {
  if (position_ >= info_->size) return nullptr;
  while (!chunks_.empty() && position_ >= chunks_.front()->offset + chunks_.front()->length) {
    chunks_.pop_front();
    depth_ = std::min(depth_ + 1, kDeepest);  // a chunk was read to its end: this is sequential
  }
  if (!chunks_.empty() && position_ < chunks_.front()->offset) chunks_.clear();
  fill_queue();
  Chunk* chunk = chunks_.front().get();
  try {
    if (chunk->loaded.valid()) chunk->loaded.get();
  } catch (...) {
    chunks_.clear();  // a later read asks again
    throw;
  }
  return chunk;
}

void S3ReadStream::check(const char* data, int64_t offset, int64_t size) {
  if (!check_ || offset > checked_ || offset + size <= checked_) return;
  const int64_t seen = checked_ - offset;
  check_->update(data + seen, static_cast<size_t>(size - seen));
  checked_ = offset + size;
  if (checked_ < info_->size) return;
  s3::ContentCheck complete = std::move(*check_);
  check_.reset();
  try {
    complete.verify("read", object_);
  } catch (const s3::WrongBytes&) {
    failed_ = std::current_exception();
    throw;
  }
}

int64_t S3ReadStream::read(char* data, int64_t size) {
  if (failed_) std::rethrow_exception(failed_);
  int64_t total = 0;
  while (total < size) {
    Chunk* chunk = current_chunk();
    if (!chunk) break;
    const int64_t at = position_ - chunk->offset;
    const int64_t count = std::min(size - total, chunk->length - at);
    std::memcpy(data + total, chunk->data.data() + at, static_cast<size_t>(count));
    check(data + total, position_, count);
    total += count;
    position_ += count;
  }
  return total;
}

void S3ReadStream::write(const char*, int64_t) { throw_not_writable(object_); }
void S3ReadStream::truncate(int64_t) { throw_not_writable(object_); }

int64_t S3ReadStream::seek(int64_t offset, int whence) {
  const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : info_->size;
  int64_t wanted = 0;
  if (__builtin_add_overflow(base, offset, &wanted) || wanted < 0)
    throw OsError(EINVAL, "seek '" + object_.str() + "': " + std::to_string(base) + " and " + std::to_string(offset) +
                              " make no position; expected one from 0");
  position_ = wanted;
  const bool inside = !chunks_.empty() && position_ >= chunks_.front()->offset &&
                      position_ <= chunks_.back()->offset + chunks_.back()->length;
  if (!inside) {  // start small again: who jumps once jumps twice
    chunks_.clear();
    next_length_ = kFirstChunk;
    depth_ = 1;
  }
  return position_;
}

int64_t S3ReadStream::size() { return info_->size; }

void S3ReadStream::close() {
  closed_ = true;
  chunks_.clear();  // a range that is still under way ends in the background
}

}  // namespace mox::file
