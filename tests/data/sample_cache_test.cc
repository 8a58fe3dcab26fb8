// What must hold of the cache whatever happens to the machine.
#include "data/sample_cache.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "data/pipeline_runner.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
using data::SampleCache;

std::string value_of(SampleCache& cache, const std::string& key) {
  tensorflow::tstring value;
  return cache.read(key, &value) ? std::string(value) : "(none)";
}

// The entries, without the lock.
std::vector<fs::path> files_in(const std::string& dir) {
  std::vector<fs::path> files;
  for (const auto& item : fs::recursive_directory_iterator(dir))
    if (item.is_regular_file() && item.path().filename() != "in_use") files.push_back(item.path());
  return files;
}

TEST(SampleCacheTest, KeepsWhatWasWritten) {
  TempDir dir;
  {
    auto cache = SampleCache::open(dir.path(), false);
    EXPECT_EQ(value_of(*cache, "a"), "(none)");
    cache->write("a", "value");
    cache->write("empty", "");
    EXPECT_EQ(value_of(*cache, "a"), "value");
    EXPECT_EQ(SampleCache::open(dir.path(), false), cache);  // one a process
  }
  auto cache = SampleCache::open(dir.path(), false);
  EXPECT_EQ(value_of(*cache, "a"), "value");
  EXPECT_EQ(value_of(*cache, "empty"), "");
}

TEST(SampleCacheTest, DamageIsNotServed) {
  TempDir dir;
  auto cache = SampleCache::open(dir.path(), false);
  const std::string value(1000, 'v');
  for (size_t at : {0u, 9u, 20u, 24u, 33u, 500u}) {
    cache->write("key", value);
    const auto file = files_in(dir.path()).at(0);
    std::string bytes = read_file(file);
    bytes[at] ^= 1;
    dir.write(fs::relative(file, dir.path()), bytes);
    EXPECT_EQ(value_of(*cache, "key"), "(none)") << at;
    EXPECT_TRUE(files_in(dir.path()).empty());
  }
  cache->write("key", value);
  fs::resize_file(files_in(dir.path()).at(0), 700);
  EXPECT_EQ(value_of(*cache, "key"), "(none)");
}

TEST(SampleCacheTest, KilledWriterLeavesWholeEntries) {
  TempDir dir;
  const std::string value(200'000, 'v');
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto cache = SampleCache::open(dir.path(), false);
      for (int i = 0;; ++i) cache->write("key" + std::to_string(i % 500), value);
    }
    while (files_in(dir.path()).size() < static_cast<size_t>(5 * (round + 1))) usleep(1000);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  auto cache = SampleCache::open(dir.path(), false);
  int found = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string got = value_of(*cache, "key" + std::to_string(i));
    found += got == value;
    EXPECT_TRUE(got == value || got == "(none)");
  }
  EXPECT_GT(found, 10);
  EXPECT_TRUE(fs::is_empty(fs::path(cache->folder()) / "writing"));  // what the dead had begun is gone
}

TEST(SampleCacheTest, FullDiskStopsWritingOnly) {
  TempDir dir;
  std::string log;
  set_log_sink([&](LogLevel, std::string_view line) { log += line; });
  auto cache = SampleCache::open(dir.path(), false);
  cache->write("before", "value");
  // A limit on the size of files fails writes in the middle, as a full disk does.
  struct rlimit before, small{1000, RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &before);
  small.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  cache->write("big", std::string(100'000, 'v'));
  cache->write("after", "value");
  setrlimit(RLIMIT_FSIZE, &before);
  set_log_sink(nullptr);
  EXPECT_EQ(value_of(*cache, "before"), "value");
  EXPECT_EQ(value_of(*cache, "big"), "(none)");
  EXPECT_EQ(value_of(*cache, "after"), "(none)");
  EXPECT_NE(log.find("nothing more is cached in this run"), std::string::npos) << log;
  EXPECT_EQ(files_in(dir.path()).size(), 1u);
}

TEST(SampleCacheTest, RemovedUnlessSomeUserKeepsIt) {
  TempDir dir;
  {
    auto cache = SampleCache::open(dir.path(), true);
    cache->write("a", "value");
  }
  EXPECT_FALSE(fs::exists(dir.path("mox-cache")));
  {
    auto cache = SampleCache::open(dir.path(), true);
    auto other = SampleCache::open(dir.path(), false);
    cache->write("a", "value");
  }
  EXPECT_TRUE(fs::exists(dir.path("mox-cache")));
}

// The workers of one host have one cache_dir: who ends first does not take it from the others.
TEST(SampleCacheTest, TheLastProcessRemovesIt) {
  TempDir dir;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto cache = SampleCache::open(dir.path(), true);
    cache->write("of the child", "value");
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  {
    auto cache = SampleCache::open(dir.path(), true);
    EXPECT_EQ(value_of(*cache, "of the child"), "value");
  }
  EXPECT_TRUE(fs::exists(dir.path("mox-cache")));
  kill(child, SIGKILL);  // a dead process holds nothing
  waitpid(child, nullptr, 0);
  SampleCache::open(dir.path(), true);
  EXPECT_FALSE(fs::exists(dir.path("mox-cache")));
}

TEST(SampleCacheTest, FoldersThatCannotBeACache) {
  const auto message = [](const std::string& dir) {
    return message_of<InvalidArgumentError>([&] { SampleCache::check_folder(dir); });
  };
  EXPECT_EQ(message("s3://bucket/cache"), "cache_dir is s3://bucket/cache, expected a folder on a local disk");
  EXPECT_NE(message("/proc/cache").find("folder /proc/cache cannot be written"), std::string::npos);
  unsetenv("DLS_LOCAL_CACHE_PATH");
  EXPECT_NE(message("ENV").find("DLS_LOCAL_CACHE_PATH is not set"), std::string::npos);
}

}  // namespace
}  // namespace mox::test
