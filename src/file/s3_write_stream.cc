#include <cerrno>

#include "file/s3_streams.h"

namespace mox::file {

S3WriteStream::S3WriteStream(const Location& object, bool append)
    : object_(object), assembler_(std::make_unique<S3Assembler>("write", object)) {
  if (!append) return;
  const auto there = s3::head_checked("open", object);
  if (!there) return;
  visible_ = S3Assembler::Result{there->size, there->etag};
  size_ = there->size;
  dirty_ = false;
}

int64_t S3WriteStream::read(char*, int64_t) {
  throw OsError(EBADF,
                "read '" + object_.str() + "': the file is open for writing only; open it with mode r, w+ or r+");
}

void S3WriteStream::write(const char* data, int64_t size) {
  if (closed_) throw OsError(EBADF, "write '" + object_.str() + "': the file is closed");
  if (size == 0) return;
  if (visible_) {
    s3::ObjectInfo info;
    info.size = visible_->size;
    info.etag = visible_->etag;
    assembler_->add_whole(object_, info);
    visible_.reset();
  }
  assembler_->add_bytes(data, size);
  size_ += size;
  dirty_ = true;
}

int64_t S3WriteStream::seek(int64_t offset, int whence) {
  const int64_t wanted = whence == SEEK_SET ? offset : size_ + offset;
  if (wanted == size_) return size_;
  throw OsError(ESPIPE, "seek '" + object_.str() +
                            "': an object that is being written has no other position than its end; "
                            "open it with mode w+ or r+");
}

void S3WriteStream::truncate(int64_t size) {
  if (size == size_) return;
  throw OsError(EINVAL, "truncate '" + object_.str() + "': open the file with mode r+ or w+ to change its length");
}

// Each flush makes a whole object. What it holds already is moved inside the store, or is still in memory when small:
// the bytes that go over the network are those that are new.
void S3WriteStream::flush() {
  if (closed_ || !dirty_) return;
  const auto result = assembler_->finish();
  const auto small = assembler_->small_content();
  assembler_ = std::make_unique<S3Assembler>("write", object_);
  if (small) {
    assembler_->add_bytes(small->data(), static_cast<int64_t>(small->size()));
  } else {
    visible_ = result;
  }
  dirty_ = false;
}

void S3WriteStream::close() {
  if (closed_) return;
  closed_ = true;
  if (dirty_) assembler_->finish();
  assembler_.reset();
}

}  // namespace mox::file
