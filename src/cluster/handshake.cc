#include "cluster/handshake.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/message_body.h"
#include "base/random.h"
#include "file/checksum.h"

namespace mox::cluster {
namespace {

constexpr char kMagic[] = "MOXCLUSTER1\n";  // 12 bytes, first on each connection, from the server
constexpr size_t kMagicSize = sizeof kMagic - 1, kNonceSize = 32, kProofSize = 32;
constexpr size_t kMaxHello = 1 << 20;

std::string proof(const std::string& token, std::string_view side, std::string_view nonces, std::string_view said) {
  return file::hmac_sha256(token, std::string(side) + std::string(nonces) + std::string(said));
}

// In a time that does not tell how much of it is right.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char differs = 0;
  for (size_t i = 0; i < a.size(); ++i) differs |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differs == 0;
}

void write_identity(const Identity& identity, Body* body) {
  body->number(static_cast<uint64_t>(identity.task_index)).text(identity.address).text(identity.host);
  body->number(static_cast<uint64_t>(identity.pid)).number(identity.incarnation);
  body->number(static_cast<uint64_t>(identity.global_step)).number(identity.finishing ? 1 : 0);
  body->number(identity.agreed.size());
  for (const auto& [name, value] : identity.agreed) body->text(name).text(value);
}

Identity read_identity(BodyReader* body) {
  Identity identity;
  identity.task_index = static_cast<int64_t>(body->number());
  identity.address = body->text();
  identity.host = body->text();
  identity.pid = static_cast<int64_t>(body->number());
  identity.incarnation = body->number();
  identity.global_step = static_cast<int64_t>(body->number());
  identity.finishing = body->number() != 0;
  for (uint64_t left = std::min<uint64_t>(body->number(), 1000); left > 0; --left) {
    std::string name = body->text();
    identity.agreed.emplace_back(std::move(name), body->text());
  }
  return identity;
}

// What comes before the proof.
template <typename Read>
auto read_proven(const Message& message, const std::string& token, std::string_view side, std::string_view nonces,
                 Read read) {
  if (message.body.size() < kProofSize) throw Error("a proof is missing");
  const std::string_view said = std::string_view(message.body).substr(0, message.body.size() - kProofSize);
  if (!same(std::string_view(message.body).substr(said.size()), proof(token, side, nonces, said)))
    throw Error("the proof is wrong");
  BodyReader body(said);
  return read(&body);
}

constexpr char kOtherToken[] =
    "it knows another token, or none: processes of one run share --cluster_token or MOX_CLUSTER_TOKEN";

}  // namespace

Refused::~Refused() = default;
Taken::~Taken() = default;

std::string Identity::text() const {
  return fmt::format("worker {} ({}, process {} on {})", task_index, address, pid, host);
}

std::string difference(const Identity& a, const Identity& b) {
  std::string text;
  for (size_t i = 0; i < std::max(a.agreed.size(), b.agreed.size()); ++i) {
    if (i >= a.agreed.size() || i >= b.agreed.size() || a.agreed[i].first != b.agreed[i].first)
      return fmt::format("{} and {} are of different versions", a.text(), b.text());
    const auto& [name, value] = a.agreed[i];
    if (value == b.agreed[i].second) continue;
    text += fmt::format("{}{} is {} at {} and {} at {}", text.empty() ? "" : "; ", name, value, a.text(),
                        b.agreed[i].second, b.text());
  }
  return text;
}

Identity greet(Channel* channel, const Hello& mine, const std::string& token, const Wait& wait) {
  std::string first(kMagicSize + kNonceSize, '\0');
  channel->socket().receive(first.data(), first.size(), wait);
  if (first.compare(0, kMagicSize, kMagic) != 0)
    throw ConnectionError(channel->socket().peer() +
                          ": what listens there is no process of MoXing's, or of another version");
  const std::string nonces = first.substr(kMagicSize) + random_bytes(kNonceSize);
  Body body;
  write_identity(mine.identity, &body);
  std::string said = body.number(static_cast<uint64_t>(mine.purpose)).number(mine.group).take();
  said += proof(token, "client", nonces, said);
  channel->send(MessageType::kHello, nonces.substr(kNonceSize) + said, wait);
  const Message answer = channel->receive(wait, kMaxHello);
  if (answer.type == MessageType::kRefused) throw Refused(answer.body);
  if (answer.type == MessageType::kTaken)
    throw Taken(fmt::format("--task_index {} is taken by {}", mine.identity.task_index, answer.body));
  if (answer.type == MessageType::kBusy) throw ConnectionError(answer.body);
  if (answer.type != MessageType::kWelcome)
    throw ConnectionError(channel->socket().peer() + ": it is of another version");
  try {
    return read_proven(answer, token, "server", nonces, read_identity);
  } catch (const Error&) {
    throw Refused(channel->socket().peer() + ": " + kOtherToken);
  }
}

Greeted receive_greeting(Channel* channel, const Identity& mine, const std::string& token, const Wait& wait) {
  const std::string nonce = random_bytes(kNonceSize), first = kMagic + nonce;
  channel->socket().send(first.data(), first.size(), wait);
  Message message = channel->receive(wait, kMaxHello);
  if (message.type != MessageType::kHello || message.body.size() < kNonceSize)
    throw ConnectionError(channel->socket().peer() + ": it does not greet as processes of MoXing's do");
  Greeted greeted;
  greeted.nonces = nonce + message.body.substr(0, kNonceSize);
  message.body.erase(0, kNonceSize);
  try {
    greeted.hello = read_proven(message, token, "client", greeted.nonces, [](BodyReader* body) {
      Hello hello;
      hello.identity = read_identity(body);
      hello.purpose = static_cast<Purpose>(body->number());
      hello.group = body->number();
      return hello;
    });
  } catch (const Error&) {
    refuse(channel, fmt::format("{} refuses: {}", mine.address, kOtherToken), wait);
    throw ConnectionError(channel->socket().peer() + ": " + kOtherToken);
  }
  const std::string differs = difference(greeted.hello.identity, mine);
  if (!differs.empty()) {
    refuse(channel, differs, wait);
    throw Refused(differs);
  }
  channel->socket().name(greeted.hello.identity.text());
  return greeted;
}

void welcome(Channel* channel, const Greeted& greeted, const Identity& mine, const std::string& token,
             const Wait& wait) {
  Body body;
  write_identity(mine, &body);
  const std::string said = body.take();
  channel->send(MessageType::kWelcome, said + proof(token, "server", greeted.nonces, said), wait);
}

void refuse(Channel* channel, const std::string& why, const Wait& wait) {
  channel->send(MessageType::kRefused, why, wait);
}

void say_taken(Channel* channel, const std::string& by, const Wait& wait) {
  channel->send(MessageType::kTaken, by, wait);
}

void put_off(Channel* channel, const std::string& why, const Wait& wait) {
  channel->send(MessageType::kBusy, why, wait);
}

}  // namespace mox::cluster
