#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "file/file_system.h"
#include "moxing/file_error.h"
#include "moxing/file_stream.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr int64_t kReadAhead = 64 << 10;

}  // namespace

File::File(const std::string& name, const std::string& mode)
    : name_(name), mode_(mode), exceptions_(std::uncaught_exceptions()) {
  const OpenMode parsed = parse_mode(mode);
  const Location location = parse_path(name);
  readable_ = parsed.read;
  writable_ = parsed.write;
  stream_ = file_system(location).open(location, parsed);
}

File::~File() {
  if (!stream_ || std::uncaught_exceptions() > exceptions_) return;
  try {
    close();
  } catch (const std::exception& e) {
    log_error(std::string("a file that was not closed could not be written: ") + e.what());
  }
}

File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;

Stream& File::stream() const {
  if (!stream_) throw OsError(EBADF, "'" + name_ + "': the file is closed");
  return *stream_;
}

bool File::fill() {
  buffer_.resize(kReadAhead);
  buffer_at_ = 0;
  buffer_.resize(static_cast<size_t>(stream().read(buffer_.data(), kReadAhead)));
  return !buffer_.empty();
}

int64_t File::read_some(char* data, int64_t size) {
  Stream& in = stream();
  const int64_t buffered = std::min<int64_t>(size, static_cast<int64_t>(buffer_.size() - buffer_at_));
  std::memcpy(data, buffer_.data() + buffer_at_, static_cast<size_t>(buffered));
  buffer_at_ += static_cast<size_t>(buffered);
  return buffered == size ? size : buffered + in.read(data + buffered, size - buffered);
}

std::string File::read(int64_t n) {
  std::string result;
  if (n < 0 && stream().seekable()) {
    n = std::max<int64_t>(0, stream().size() - tell());
    if (n == 0) n = -1;  // files of /proc tell no size
  }
  if (n >= 0) {
    // Memory is taken for what is there, not for all that was asked for.
    const int64_t left = stream().seekable() ? stream().size() - tell() : 0;
    for (int64_t piece = std::max(left, kReadAhead); n > 0; piece = kReadAhead) {
      piece = std::min(n, piece);
      const size_t before = result.size();
      result.resize(before + static_cast<size_t>(piece));
      const int64_t got = read_some(result.data() + before, piece);
      result.resize(before + static_cast<size_t>(got));
      n -= got;
      if (got < piece || !stream().seekable()) break;  // the end, or what a pipe has now
    }
    return result;
  }
  result.assign(buffer_, buffer_at_);
  buffer_at_ = buffer_.size();
  while (fill()) {
    result += buffer_;
    buffer_at_ = buffer_.size();
  }
  return result;
}

std::string File::readline(int64_t size) {
  std::string line;
  const size_t limit = size < 0 ? std::string::npos : static_cast<size_t>(size);
  while (line.size() < limit) {
    if (buffer_at_ == buffer_.size() && !fill()) break;
    const size_t newline = buffer_.find('\n', buffer_at_);
    const size_t end = newline == std::string::npos ? buffer_.size() : newline + 1;
    const size_t count = std::min(end - buffer_at_, limit - line.size());
    line.append(buffer_, buffer_at_, count);
    buffer_at_ += count;
    if (line.back() == '\n') break;
  }
  return line;
}

std::vector<std::string> File::readlines(int64_t hint) {
  std::vector<std::string> lines;
  for (int64_t total = 0; hint <= 0 || total < hint;) {
    std::string line = readline();
    if (line.empty()) break;
    total += static_cast<int64_t>(line.size());
    lines.push_back(std::move(line));
  }
  return lines;
}

bool File::next(std::string* line) {
  *line = readline();
  if (line->empty()) return false;
  if (line->back() == '\n') line->pop_back();
  return true;
}

void File::write(std::string_view data) {
  Stream& out = stream();
  if (buffer_at_ < buffer_.size()) seek(0, SEEK_CUR);  // drops what was read ahead
  out.write(data.data(), static_cast<int64_t>(data.size()));
}

void File::writelines(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) write(line);
}

int64_t File::tell() const { return stream().tell() - static_cast<int64_t>(buffer_.size() - buffer_at_); }

int64_t File::seek(int64_t offset, int whence) {
  if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END)
    throw InvalidArgumentError("seek: whence is " + std::to_string(whence) + ", expected 0, 1 or 2");
  if (whence == SEEK_CUR) {
    if (__builtin_add_overflow(offset, tell(), &offset))
      throw OsError(EINVAL, "seek '" + name_ + "': the position is beyond what a number holds");
    whence = SEEK_SET;
  }
  const int64_t position = stream().seek(offset, whence);
  buffer_.clear();
  buffer_at_ = 0;
  return position;
}

int64_t File::size() { return stream().size(); }
void File::truncate(int64_t size) { stream().truncate(size); }
void File::set_read_ahead(int64_t bytes) { stream().set_read_ahead(bytes); }
void File::flush() { stream().flush(); }
bool File::seekable() const { return stream().seekable(); }

void File::close() {
  if (!stream_) return;
  const std::unique_ptr<Stream> closing = std::move(stream_);
  closing->close();
}

void File::discard() { stream_.reset(); }

}  // namespace mox::file
