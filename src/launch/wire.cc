#include "launch/wire.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "moxing/error.h"

namespace mox::launch {
namespace {

// Stands before the first message of a stream.
constexpr std::string_view kStart = "\n#mox-launch-1\n";
constexpr size_t kMaxMessage = 64 << 20;  // far more than an argument list can have
constexpr size_t kMaxNoise = 1 << 20;
constexpr size_t kHeader = 5;

void append_u32(uint32_t value, std::string* out) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}

uint32_t read_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

}  // namespace

Channel::Channel(Fd in, Fd out) : in_(std::move(in)), out_(std::move(out)), queue_(kStart) {
  set_nonblocking(in_.get());
  set_nonblocking(out_.get());
}

void Channel::send(MessageType type, const std::string& body) {
  if (!out_.open() || finishing_) return;
  append_u32(static_cast<uint32_t>(body.size()), &queue_);
  queue_.push_back(static_cast<char>(type));
  queue_ += body;
}

void Channel::flush() {
  while (out_.open() && written_ < queue_.size()) {
    const ssize_t n = ::write(out_.get(), queue_.data() + written_, queue_.size() - written_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      out_.reset();
      break;
    }
    written_ += static_cast<size_t>(n);
  }
  if (written_ == queue_.size() || !out_.open()) {
    queue_.clear();
    written_ = 0;
    if (finishing_) out_.reset();
  } else if (written_ > (1 << 20)) {
    queue_.erase(0, written_);
    written_ = 0;
  }
}

void Channel::finish_sending() {
  finishing_ = true;
  flush();
}

bool Channel::find_start(std::string* noise) {
  if (started_) return true;
  const size_t at = input_.find(kStart);
  started_ = at != std::string::npos;
  // The last bytes may be the beginning of the mark.
  const size_t before = started_ ? at : input_.size() - std::min(input_.size(), kStart.size() - 1);
  if (noise && noise->size() < kMaxNoise) noise->append(input_, 0, before);
  input_.erase(0, started_ ? at + kStart.size() : before);
  return started_;
}

bool Channel::receive(std::vector<Message>* messages, std::string* noise) {
  if (!in_.open()) return false;
  char buffer[1 << 16];
  const ssize_t n = ::read(in_.get(), buffer, sizeof buffer);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) {
    if (!started_ && noise) noise->append(input_);
    return false;
  }
  input_.append(buffer, static_cast<size_t>(n));
  if (!find_start(noise)) return true;
  size_t at = 0;
  while (input_.size() - at >= kHeader) {
    const size_t size = read_u32(std::string_view(input_).substr(at));
    if (size > kMaxMessage) throw Error("the other side of the launcher's connection sent no message of mox launch");
    if (input_.size() - at < kHeader + size) break;
    messages->push_back({static_cast<MessageType>(input_[at + 4]), input_.substr(at + kHeader, size)});
    at += kHeader + size;
  }
  input_.erase(0, at);
  return true;
}

void Channel::close() {
  in_.reset();
  out_.reset();
}

}  // namespace mox::launch
