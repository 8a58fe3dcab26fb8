// File: modes, seeking, flush, memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "file/servers.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"

namespace fs = std::filesystem;
namespace file = mox::file;
using file::File;
using mox::test::server;

namespace {

class StreamTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    static int counter = 0;
    if (std::string(GetParam()) == "local") {
      std::string pattern = ::testing::TempDir() + "mox_stream_XXXXXX";
      root_ = ::mkdtemp(pattern.data());
      return;
    }
    mox::test::use_server(server(GetParam()));
    root_ = "s3://streams-" + std::to_string(counter++);
    file::make_dirs(root_);
  }
  void TearDown() override {
    if (root_[0] == '/') fs::remove_all(root_);
  }
  bool local() const { return root_[0] == '/'; }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string root_;
};

TEST_P(StreamTest, WriteThenReadLines) {
  {
    File f(path("a"), "w");
    f.write("one\ntwo\n");
    f.writelines({"three\n", "four"});
  }
  File f(path("a"));
  EXPECT_EQ(f.size(), 18);
  EXPECT_EQ(f.readline(), "one\n");
  EXPECT_EQ(f.readline(2), "tw");
  EXPECT_EQ(f.tell(), 6);
  EXPECT_EQ(f.readline(), "o\n");
  EXPECT_EQ(f.read(3), "thr");
  EXPECT_EQ(f.readlines(), (std::vector<std::string>{"ee\n", "four"}));
  EXPECT_EQ(f.read(), "");
  EXPECT_EQ(f.seek(-4, 2), 14);
  EXPECT_EQ(f.read(), "four");
  f.seek(0);
  std::string line, all;
  while (f.next(&line)) all += line + "|";
  EXPECT_EQ(all, "one|two|three|four|");
  EXPECT_TRUE(f.readable());
  EXPECT_FALSE(f.writable());
  EXPECT_THROW(f.write("x"), file::OsError);
}

TEST_P(StreamTest, AppendMode) {
  File(path("a"), "a").write("made ");
  {
    File f(path("a"), "ab");
    EXPECT_EQ(f.tell(), 5);
    f.write("longer");
  }
  EXPECT_EQ(file::read(path("a")), "made longer");
  { File f(path("a"), "a"); }
  EXPECT_EQ(file::read(path("a")), "made longer");
}

TEST_P(StreamTest, UpdateModes) {
  EXPECT_THROW(File(path("no"), "r+"), file::MoxFileNotExistsException);
  file::write(path("a"), "0123456789");
  {
    File f(path("a"), "rb+");
    EXPECT_EQ(f.read(3), "012");
    f.write("ABC");
    f.seek(0, 2);
    f.write("end");
    f.seek(1);
    EXPECT_EQ(f.read(), "12ABC6789end");
  }
  EXPECT_EQ(file::read(path("a")), "012ABC6789end");
  {
    File f(path("a"), "w+");
    f.write("new");
    f.seek(0);
    EXPECT_EQ(f.read(), "new");
    f.truncate(2);
  }
  EXPECT_EQ(file::read(path("a")), "ne");
  {
    File f(path("a"), "a+");
    f.write("xt");
    f.seek(0);
    EXPECT_EQ(f.read(), "next");
  }
  EXPECT_EQ(file::read(path("a")), "next");
}

TEST_P(StreamTest, FlushShowsWhatWasWritten) {
  File f(path("log"), "w");
  f.write("first\n");
  f.flush();
  EXPECT_EQ(file::read(path("log")), "first\n");
  f.write("second\n");
  f.flush();
  EXPECT_EQ(file::read(path("log")), "first\nsecond\n");
  const std::string block(6 << 20, 'b');
  f.write(block);
  f.flush();
  f.write("tail");
  f.flush();
  f.flush();
  f.write("!");
  f.close();
  EXPECT_TRUE(file::read(path("log")) == "first\nsecond\n" + block + "tail!");
}

TEST_P(StreamTest, EmptyWriteMakesAnEmptyFile) {
  { File f(path("empty"), "w"); }
  EXPECT_TRUE(file::exists(path("empty")));
  File f(path("empty"));
  EXPECT_EQ(f.read(), "");
  EXPECT_EQ(f.size(), 0);
}

TEST_P(StreamTest, AnExceptionLeavesNoHalfObject) {
  if (local()) return;  // a local file is what open(2) makes of it
  try {
    File f(path("half"), "w");
    f.write(std::string(12 << 20, 'x'));
    throw std::runtime_error("the program fails here");
  } catch (const std::runtime_error&) {
  }
  EXPECT_FALSE(file::exists(path("half")));
}

TEST_P(StreamTest, RandomAccessGivesTheRightBytes) {
  std::string data(5 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>((i * 2654435761u) >> 11);
  file::write(path("r"), data);
  File f(path("r"), "rb");
  unsigned seed = 5;
  for (int i = 0; i < 60; ++i) {
    seed = seed * 1664525 + 1013904223;
    const int64_t at = seed % data.size();
    const int64_t count = (seed >> 8) % 70000;
    f.seek(at);
    ASSERT_TRUE(f.read(count) == data.substr(static_cast<size_t>(at), static_cast<size_t>(count)))
        << at << " " << count;
  }
  f.seek(0);
  EXPECT_TRUE(f.read() == data);
}

// Numbers from outside size no memory, and make no position by overflowing.
TEST_P(StreamTest, SizesAndPlacesThatNoFileHas) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  file::write(path("a"), "0123456789");
  for (const char* mode : {"r", "r+"}) {
    File f(path("a"), mode);
    f.seek(3);
    EXPECT_EQ(f.read(kFar), "3456789") << mode;
    EXPECT_EQ(f.read(kFar), "");
    EXPECT_THROW(f.seek(kFar, 1), std::exception);
    EXPECT_THROW(f.seek(kFar, 2), std::exception);
    EXPECT_THROW(f.seek(-kFar, 1), std::exception);
    EXPECT_EQ(f.tell(), 10) << mode;
  }
}

TEST_P(StreamTest, ClosedFilesSaySo) {
  File f(path("c"), "w");
  f.close();
  f.close();
  EXPECT_TRUE(f.closed());
  EXPECT_THROW(f.write("x"), file::OsError);
}

INSTANTIATE_TEST_SUITE_P(All, StreamTest, ::testing::Values("local", "versitygw", "minio"),
                         [](const auto& info) { return std::string(info.param); });

// The peak of this process, so in a test of its own program run: 1 GiB through 100 MiB.
TEST(StreamMemory, ObjectsOfAnySizeNeedLittle) {
#ifdef NDEBUG_SANITIZER
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  mox::test::use_server(server("versitygw"));
  file::make_dirs("s3://memory");
  const std::string block(1 << 20, 'm');
  constexpr int kBlocks = 400;
  {
    File f("s3://memory/big", "wb");
    for (int i = 0; i < kBlocks; ++i) f.write(block);
  }
  EXPECT_EQ(file::get_size("s3://memory/big"), int64_t{kBlocks} << 20);
  File f("s3://memory/big", "rb");
  int64_t total = 0;
  std::string buffer(1 << 20, '\0');
  while (const int64_t got = f.read_some(buffer.data(), 1 << 20)) total += got;
  EXPECT_EQ(total, int64_t{kBlocks} << 20);
  std::ifstream status("/proc/self/status");
  long peak = 0;
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) peak = std::stol(line.substr(6)) / 1024;
  EXPECT_LT(peak, 140) << "MiB: what the tests before held is in it";
}

}  // namespace
