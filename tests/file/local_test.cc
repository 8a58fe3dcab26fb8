// What only a local disk has: links, pipes, modes. What all storages share is in conformance_test.cc.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "moxing/file.h"

namespace fs = std::filesystem;
namespace file = mox::file;

namespace {

class LocalFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "mox_local_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string root_;
};

TEST_F(LocalFile, WriteFollowsALinkAndKeepsTheMode) {
  file::write(path("real"), "old");
  ::chmod(path("real").c_str(), 0640);
  fs::create_symlink("real", path("link"));
  file::write(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(file::read(path("real")), "new");
  EXPECT_EQ(file::stat(path("real")).mode & 07777, 0640u);
}

TEST_F(LocalFile, WritersOfOnePathNeverMix) {
  const std::string target = path("shared");
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'a' + 8; ++c)
    writers.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) file::write(target, std::string(200000, c));
    });
  for (int i = 0; i < 50; ++i) {
    if (!file::exists(target)) continue;
    const std::string seen = file::read(target);
    ASSERT_EQ(seen, std::string(200000, seen[0]));
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(file::list_directory(root_), std::vector<std::string>{"shared"}) << "temporary files were left";
}

TEST_F(LocalFile, LinksInFoldersDoNotGoRoundForEver) {
  file::make_dirs(path("a/b"));
  file::write(path("a/b/f"), "1");
  fs::create_directory_symlink(path("a"), path("a/b/up"));
  const auto names = file::list_directory(root_, {.recursive = true});
  EXPECT_EQ(names, (std::vector<std::string>{"a", "a/b", "a/b/f", "a/b/up"}));
}

TEST_F(LocalFile, RemoveTakesTheLinkNotItsTarget) {
  file::make_dirs(path("keep"));
  file::write(path("keep/f"), "1");
  file::make_dirs(path("gone"));
  fs::create_directory_symlink(path("keep"), path("gone/link"));
  file::remove(path("gone"), /*recursive=*/true);
  EXPECT_FALSE(file::exists(path("gone")));
  EXPECT_EQ(file::read(path("keep/f")), "1");
}

TEST_F(LocalFile, ReadsWhatHasNoSize) { EXPECT_NE(file::read("/proc/self/status").find("Name:"), std::string::npos); }

TEST_F(LocalFile, AFullDiskIsAnOsError) {
  try {
    file::append("/dev/full", "x");
    FAIL();
  } catch (const file::OsError& e) {
    EXPECT_EQ(e.code(), ENOSPC);
  }
}

TEST_F(LocalFile, CopyOntoItselfKeepsTheContent) {
  file::write(path("f"), "data");
  fs::create_symlink("f", path("l"));
  file::copy(path("f"), path("f"));
  file::copy(path("f"), path("l"));
  EXPECT_EQ(file::read(path("f")), "data");
}

}  // namespace
