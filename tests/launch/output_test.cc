#include "launch/output.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "launch/fd.h"

namespace mox::launch {
namespace {

// What a LineWriter gives for pieces of output, in a pipe.
std::string written(const std::vector<std::string>& pieces, Tail* tail = nullptr) {
  Pipe pipe = make_pipe();
  const auto sink = std::make_shared<Sink>(pipe.write.get());
  LineWriter writer(sink, sink->prefix("worker 1", 1), tail);
  std::string result;
  set_nonblocking(pipe.read.get());
  const auto pump = [&] {
    char buffer[1 << 16];
    for (;;) {
      if (sink->queued()) sink->flush();
      const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
      if (n <= 0) break;
      result.append(buffer, static_cast<size_t>(n));
    }
  };
  for (const std::string& piece : pieces) {
    writer.add(piece);
    pump();
  }
  writer.finish();
  pump();
  return result;
}

TEST(Output, LinesAreWholeAndNamed) {
  EXPECT_EQ(written({"a\nb", "c\n", "\n", "last"}), "[worker 1] a\n[worker 1] bc\n[worker 1] \n[worker 1] last\n");
  EXPECT_EQ(written({}), "");
  EXPECT_EQ(written({std::string("\0\xff\r\033[1m", 7) + "\n"}), std::string("[worker 1] \0\xff\r\033[1m", 18) + "\n")
      << "no terminal: bytes as they are";
}

TEST(Output, ALineWithoutAnEndComesInPieces) {
  const std::string much(3 << 20, 'x');
  const std::string all = written({much});
  size_t lines = 0, letters = 0;
  for (const char c : all) {
    lines += c == '\n';
    letters += c == 'x';
  }
  EXPECT_EQ(letters, much.size());
  EXPECT_EQ(lines, 3u);
}

TEST(Output, TheTailKeepsTheLastLines) {
  Tail tail;
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + "\n";
  written({text + std::string(10000, 'y')}, &tail);
  ASSERT_EQ(tail.lines().size(), 20u);
  EXPECT_EQ(tail.lines().front(), "81");
  EXPECT_EQ(tail.lines().back(), std::string(500, 'y'));
}

TEST(Output, AReaderThatIsGoneIsSeen) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe pipe = make_pipe();
  Sink sink(pipe.write.get());
  pipe.read.reset();
  sink.add("x\n");
  sink.flush();
  EXPECT_EQ(sink.error(), EPIPE);
  EXPECT_EQ(sink.queued(), 0u);
  EXPECT_FALSE(sink.blocks());
}

TEST(Output, AReaderThatWaitsBlocksNobodyHere) {
  Pipe pipe = make_pipe();
  Sink sink(pipe.write.get());
  const std::string much(2 << 20, 'x');
  sink.add(much);
  for (int i = 0; i < 10; ++i) sink.flush();  // returns
  EXPECT_TRUE(sink.blocks());
  sink.drop_when_full();
  EXPECT_FALSE(sink.blocks());
  const size_t queued = sink.queued();
  sink.add(much);
  EXPECT_EQ(sink.queued(), queued);
}

TEST(Output, ATerminalGetsColoursAndNothingElseToObey) {
  EXPECT_EQ(terminal_text("\033[31mred\033[0m \033[2Jtitle\033]0;x\007"),
            "\033[31mred\033[0m \\x1b[2Jtitle\\x1b]0;x\\x07\033[0m");
  EXPECT_EQ(terminal_text("plain\ttext"), "plain\ttext");
  EXPECT_EQ(terminal_text("\xff\033["), "\\xff\\x1b[");
}

}  // namespace
}  // namespace mox::launch
