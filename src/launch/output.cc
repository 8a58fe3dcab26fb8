#include "launch/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/printable.h"

namespace mox::launch {
namespace {

constexpr size_t kMaxLine = 1 << 20;  // a longer one comes in pieces
constexpr size_t kTailLines = 20, kTailWidth = 500;
constexpr int kColours[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};

bool same_place(int a, int b) {
  struct stat first, second;
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino && first.st_rdev == second.st_rdev;
}

// Bytes of the colour sequence at the start of `text`; 0 when there is none.
size_t colour_size(std::string_view text) {
  if (text.size() < 3 || text[0] != '\033' || text[1] != '[') return 0;
  const size_t end = text.find_first_not_of("0123456789;:", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

}  // namespace

Sink::Sink(int fd) : fd_(fd), terminal_(::isatty(fd) == 1) {
  const char* none = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  coloured_ = terminal_ && !(none && *none) && !(kind && std::string_view(kind) == "dumb");
  struct stat st;
  if (::fstat(fd, &st) != 0) error_ = errno;
  if (error_ != 0) return;
  socket_ = S_ISSOCK(st.st_mode);
  if (!S_ISFIFO(st.st_mode) && !terminal_) {
    if (S_ISREG(st.st_mode)) piece_ = 1 << 18;  // never waits
    return;
  }
  // Opened anew, for not waiting is a property that all who share a descriptor would get. Without the right to do so:
  // pieces of a page, which a pipe takes when poll says that it is ready.
  own_ = Fd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!own_.open()) return;
  fd_ = own_.get();
  piece_ = 1 << 16;
}

std::string Sink::prefix(const std::string& name, size_t colour) const {
  if (!coloured_) return "[" + name + "] ";
  return fmt::format("\033[{}m[{}]\033[0m ", kColours[colour % std::size(kColours)], name);
}

void Sink::add(std::string_view text) {
  if (error_ == 0 && !(dropping_ && full())) queue_ += text;
}

void Sink::flush() {
  while (error_ == 0 && queued() > 0) {
    const size_t size = std::min(piece_, queued());
    const ssize_t n = socket_ ? ::send(fd_, queue_.data() + written_, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                              : ::write(fd_, queue_.data() + written_, size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n < 0) error_ = errno;
    if (n > 0) written_ += static_cast<size_t>(n);
    if (piece_ <= 4096) break;  // poll again: the next piece may have to wait
  }
  if (error_ != 0 || queued() == 0) {
    queue_.clear();
    written_ = 0;
  } else if (written_ > (1 << 19)) {
    queue_.erase(0, written_);
    written_ = 0;
  }
}

Sinks standard_sinks() {
  Sinks sinks;
  sinks.output = std::make_shared<Sink>(STDOUT_FILENO);
  sinks.errors = same_place(STDOUT_FILENO, STDERR_FILENO) ? sinks.output : std::make_shared<Sink>(STDERR_FILENO);
  return sinks;
}

void Tail::add(std::string_view line) {
  if (lines_.size() == kTailLines) lines_.pop_front();
  lines_.emplace_back(line.substr(0, kTailWidth));
}

LineWriter::LineWriter(std::shared_ptr<Sink> sink, std::string prefix, Tail* tail)
    : sink_(std::move(sink)), prefix_(std::move(prefix)), tail_(tail) {}

void LineWriter::add(std::string_view bytes) {
  // A progress bar ends its lines with \r: on a terminal it would go over the prefix.
  const std::string_view ends = sink_->is_terminal() ? "\n\r" : "\n";
  while (!bytes.empty()) {
    const size_t end = ends.size() == 1 ? bytes.find('\n') : bytes.find_first_of(ends);
    const size_t room = kMaxLine - partial_.size();
    const std::string_view piece = bytes.substr(0, std::min(end, room));
    const bool whole = end != std::string_view::npos && end <= room;
    bytes.remove_prefix(piece.size() + (whole ? 1 : 0));
    if (!whole && piece.size() < room) {
      partial_ += piece;
      return;
    }
    if (partial_.empty()) {
      emit(piece);
    } else {
      partial_ += piece;
      emit(partial_);
      partial_.clear();
    }
  }
}

void LineWriter::finish() {
  if (!partial_.empty()) emit(partial_);
  partial_.clear();
}

void LineWriter::emit(std::string_view line) {
  if (sink_->is_terminal()) {
    if (line.empty()) return;  // "\r\n" is one end
    sink_->add(prefix_ + terminal_text(line) + "\n");
  } else {
    sink_->add(prefix_);
    sink_->add(line);
    sink_->add("\n");
  }
  if (tail_) tail_->add(line);
}

std::string terminal_text(std::string_view line) {
  std::string result, plain;
  bool coloured = false;
  while (!line.empty()) {
    const size_t size = colour_size(line);
    if (size == 0) {
      plain += line.front();
      line.remove_prefix(1);
      continue;
    }
    result += printable(plain) + std::string(line.substr(0, size));
    plain.clear();
    coloured = true;
    line.remove_prefix(size);
  }
  return result + printable(plain) + (coloured ? "\033[0m" : "");
}

}  // namespace mox::launch
