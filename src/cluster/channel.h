// Messages between two processes of a cluster.
#pragma once

#include <optional>
#include <string>

#include "cluster/socket.h"

namespace mox::cluster {

enum class MessageType : uint8_t {
  // Hands are shaken, see handshake.h.
  kHello = 1,  // the client's identity, its purpose, its proof
  kRefused,    // why; final
  kBusy,       // why; worth another try
  kTaken,      // the task_index is: by whom
  kWelcome,    // the server's identity and proof
  // From the leader, while a group is formed.
  kWaiting,  // for whom, in words
  kForm,     // a Group
  kGo,       // all are connected: the group begins
  // From the others.
  kReady,  // connected to its neighbours in the group of this number
  // Both ways, while a group runs.
  kAlive,
  kBroken,    // the group ends: why
  kStopping,  // the sender is about to end in order, or with an error: its text
};

struct Message {
  MessageType type = MessageType::kAlive;
  std::string body;
};

class MOX_EXPORT Channel {
 public:
  Channel() = default;
  explicit Channel(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() { return socket_; }
  const Socket& socket() const { return socket_; }
  bool is_open() const { return socket_.is_open(); }

  // ConnectionError, Interrupted.
  void send(MessageType type, const std::string& body, const Wait& wait);
  // The next message. ConnectionError also for bytes that are no message, and for one over `limit` bytes.
  Message receive(const Wait& wait, size_t limit = 1 << 20);
  // Reads what is there; a message when one is whole. ConnectionError as above.
  std::optional<Message> poll(size_t limit = 1 << 20);

 private:
  std::optional<Message> take(size_t limit);

  Socket socket_;
  std::string input_;
};

}  // namespace mox::cluster
