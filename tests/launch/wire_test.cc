#include "launch/wire.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "moxing/error.h"

namespace mox::launch {
namespace {

struct Pair {
  Channel a, b;
};

Pair connected() {
  Pipe there = make_pipe(), back = make_pipe();
  return {Channel(std::move(back.read), std::move(there.write)), Channel(std::move(there.read), std::move(back.write))};
}

TEST(Wire, BytesOfAnyKindArriveAsTheyWere) {
  Pair pair = connected();
  const std::vector<std::string> texts = {"", " ", "a'b\"c$(d)`e`\\", std::string("\0\n\xff", 3), "\xe4\xb8\xad"};
  pair.a.send(MessageType::kStart, Body().number(7).texts(texts).text("x").number(1).take());
  pair.a.send(MessageType::kStdout, Body().number(8).raw("rest\n").take());
  pair.a.finish_sending();
  std::vector<Message> messages;
  while (pair.b.receive(&messages, nullptr)) {
  }
  ASSERT_EQ(messages.size(), 2u);
  BodyReader start(messages[0].body);
  EXPECT_EQ(start.number(), 7u);
  EXPECT_EQ(start.texts(), texts);
  EXPECT_EQ(start.text(), "x");
  EXPECT_EQ(start.number(), 1u);
  EXPECT_THROW(start.number(), Error);
  BodyReader output(messages[1].body);
  EXPECT_EQ(output.number(), 8u);
  EXPECT_EQ(output.rest(), "rest\n");
}

TEST(Wire, WhatALoginShellPrintsIsNoMessage) {
  Pipe there = make_pipe(), back = make_pipe();
  ASSERT_GT(::write(there.write.get(), "Welcome!\n#mox\n", 14), 0);
  Channel writer(std::move(back.read), std::move(there.write)), reader(std::move(there.read), std::move(back.write));
  writer.send(MessageType::kPing);
  writer.finish_sending();
  std::vector<Message> messages;
  std::string noise;
  while (reader.receive(&messages, &noise)) {
  }
  EXPECT_EQ(noise, "Welcome!\n#mox\n");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].type, MessageType::kPing);
}

TEST(Wire, ForeignBytesAreRefused) {
  Pipe there = make_pipe(), back = make_pipe();
  const std::string text = "\n#mox-launch-1\n\xff\xff\xff\xff\x01 and so on";
  ASSERT_GT(::write(there.write.get(), text.data(), text.size()), 0);
  Channel reader(std::move(there.read), std::move(back.write));
  std::vector<Message> messages;
  EXPECT_THROW(reader.receive(&messages, nullptr), Error);
  const std::string many = Body().number(uint64_t{1} << 60).take();
  EXPECT_THROW(BodyReader(many).texts(), Error);
  EXPECT_THROW(BodyReader(many).text(), Error);
}

TEST(Wire, AnEndBeforeTheFirstMessageGivesItsText) {
  Pipe there = make_pipe(), back = make_pipe();
  ASSERT_GT(::write(there.write.get(), "sh: mox: not found\n", 19), 0);
  there.write.reset();
  Channel reader(std::move(there.read), std::move(back.write));
  std::vector<Message> messages;
  std::string noise;
  while (reader.receive(&messages, &noise)) {
  }
  EXPECT_EQ(noise, "sh: mox: not found\n");
}

}  // namespace
}  // namespace mox::launch
