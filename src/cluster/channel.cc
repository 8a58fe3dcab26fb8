#include "cluster/channel.h"

#include <sys/poll.h>

#include <algorithm>

namespace mox::cluster {
namespace {

constexpr size_t kHeader = 5;  // length (4 bytes, little-endian), type

}  // namespace

void Channel::send(MessageType type, const std::string& body, const Wait& wait) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(body.size() >> shift));
  bytes.push_back(static_cast<char>(type));
  bytes += body;
  socket_.send(bytes.data(), bytes.size(), wait);
}

std::optional<Message> Channel::take(size_t limit) {
  if (input_.size() < kHeader) return std::nullopt;
  size_t size = 0;
  for (int i = 0; i < 4; ++i) size |= size_t{static_cast<uint8_t>(input_[i])} << (8 * i);
  if (size > limit) throw ConnectionError(socket_.peer() + ": what it sends is no message of MoXing's");
  if (input_.size() < kHeader + size) return std::nullopt;
  Message message{static_cast<MessageType>(input_[4]), input_.substr(kHeader, size)};
  input_.erase(0, kHeader + size);
  return message;
}

std::optional<Message> Channel::poll(size_t limit) {
  if (auto message = take(limit)) return message;
  char buffer[1 << 16];
  input_.append(buffer, socket_.receive_some(buffer, sizeof buffer));
  return take(limit);
}

Message Channel::receive(const Wait& wait, size_t limit) {
  for (;;) {
    if (auto message = poll(limit)) return *message;
    std::vector<Ready> ready = {{socket_.fd(), POLLIN}};
    if (!wait_for(&ready, wait)) throw ConnectionError(socket_.peer() + ": it does not answer");
  }
}

}  // namespace mox::cluster
