// What `mox launch` and its agents (one a host) tell each other: messages over two byte streams, a pipe or ssh.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/message_body.h"
#include "launch/fd.h"

namespace mox::launch {

enum class MessageType : uint8_t {
  // To the agent.
  kReserve = 1,  // task ids: hold a port for each
  kStart,        // task, StartRequest
  kStop,         // task, signal, grace in milliseconds: ask once, kill when the grace is over
  kKill,         // task: SIGKILL now
  kPing,         // nothing; an agent on another host that hears nothing for a while ends its tasks
  // To the launcher.
  kHello,    // the version of mox, the agent's pid
  kPorts,    // the ports, in the order of the ids
  kStarted,  // task, pid
  kRefused,  // task, exit code (126, 127), why
  kStdout,   // task, bytes
  kStderr,
  kEnded,  // task, what waitpid says of its first process
  kGone,   // task: nothing of it runs any more, nothing more comes from it
};

struct Message {
  MessageType type = MessageType::kPing;
  std::string body;
};

// Messages over two non-blocking descriptors.
class Channel {
 public:
  Channel() = default;
  Channel(Fd in, Fd out);

  int in() const { return in_.get(); }
  int out() const { return out_.get(); }
  bool is_open() const { return in_.open(); }

  // Queues; nothing is written before `flush`. Lost without a word when the other side is gone: `receive` tells.
  void send(MessageType type, const std::string& body = {});
  size_t queued() const { return out_.open() ? queue_.size() - written_ : 0; }
  void flush();
  // No more is sent once the queue is empty; the other side then reads the end of the stream.
  void finish_sending();

  // Adds the messages that are there; false at the end of the stream. Bytes before the first message (what a login
  // shell prints) go to `noise`. mox::Error for bytes that are no messages.
  bool receive(std::vector<Message>* messages, std::string* noise);

  void close();

 private:
  bool find_start(std::string* noise);

  Fd in_, out_;
  std::string queue_, input_;
  size_t written_ = 0;
  bool finishing_ = false, started_ = false;
};

}  // namespace mox::launch
