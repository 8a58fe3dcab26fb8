// The rule of sync (docs/file.md), and that --delete converges.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "file/servers.h"
#include "moxing/file.h"

namespace fs = std::filesystem;
namespace file = mox::file;
using mox::test::server;
using Names = std::vector<std::string>;

namespace {

class Sync : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    static int counter = 0;
    std::string pattern = ::testing::TempDir() + "mox_sync_XXXXXX";
    local_ = ::mkdtemp(pattern.data());
    ::setenv("MOX_STATE_DIR", (local_ + "/state").c_str(), 1);
    ::setenv("MOX_SILENT_MODE", "1", 1);
    ::setenv("MOX_FILE_LARGE_FILE_PART_SIZE", "5242880", 1);
    store_ = "s3://sync-" + std::to_string(counter++);
    mox::test::use_server(server(GetParam()));
    file::make_dirs(store_);
  }
  void TearDown() override {
    fs::remove_all(local_);
    ::unsetenv("MOX_FILE_LARGE_FILE_PART_SIZE");
  }
  // Seconds since 1970.
  static void set_time(const std::string& path, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  void put(const std::string& path, const std::string& content, time_t seconds) {
    file::write(path, content);
    set_time(path, seconds);
  }
  std::string path(const std::string& name) const { return local_ + "/" + name; }
  std::string local_, store_;
};

constexpr time_t k2020 = 1577880000, k2030 = 1893492000;

TEST_P(Sync, OtherContentOfTheSameSizeIsFoundWhateverTheTimes) {
  file::make_dirs(path("s"));
  file::make_dirs(path("d"));
  for (const time_t when : {k2020, k2020 + 1, k2030}) {
    const std::string content = "at " + std::to_string(when);
    put(path("s/f"), content, when);
    EXPECT_EQ(file::sync(path("s"), store_ + "/up").files, 1);
    EXPECT_EQ(file::read(store_ + "/up/f"), content);
    EXPECT_EQ(file::sync(path("s"), store_ + "/up").files, 0) << "the same again is not sent";
  }
  put(path("s/f"), "AT " + std::to_string(k2030), k2030);  // even the time is the same
  EXPECT_EQ(file::sync(path("s"), store_ + "/up").files, 1);

  const std::string right = file::read(store_ + "/up/f");
  for (const time_t when : {k2020, k2030, ::time(nullptr)}) {  // a copy that somebody edited, or made by other means
    put(path("d/f"), std::string(right.size(), 'x'), when);
    EXPECT_EQ(file::sync(store_ + "/up", path("d")).files, 1) << when;
    EXPECT_EQ(file::read(path("d/f")), right);
    set_time(path("d/f"), when);
    EXPECT_EQ(file::sync(store_ + "/up", path("d")).files, 0) << "the same content at another time";
  }
  for (const time_t when : {k2020, k2030}) {
    file::make_dirs(path("l"));
    put(path("s/f"), "left-" + std::to_string(when), when);
    put(path("l/f"), "right" + std::to_string(when), k2020 + 1000);
    EXPECT_EQ(file::sync(path("s"), path("l")).files, 1);
    EXPECT_EQ(file::read(path("l/f")), file::read(path("s/f")));
    EXPECT_EQ(file::stat(path("l/f")).mtime_nsec,
              file::stat(path("s/f")).mtime_nsec + (when == k2030 ? -1000000000 : 0));
    EXPECT_EQ(file::sync(path("s"), path("l")).files, 0);
  }
}

TEST_P(Sync, InsideTheStoreAnOlderSourceIsNotTakenForTheSame) {
  const std::string a(12 << 20, 'a'), b(12 << 20, 'b');
  file::write(store_ + "/from/small", "XXXX");
  file::write(store_ + "/from/large", a);
  file::write(store_ + "/to/small", "YYYY");
  file::write(store_ + "/to/large", b);
  EXPECT_EQ(file::sync(store_ + "/from", store_ + "/to").files, 2);
  EXPECT_EQ(file::read(store_ + "/to/small"), "XXXX");
  EXPECT_TRUE(file::read(store_ + "/to/large") == a);
}

TEST_P(Sync, DeleteConvergesWhenFilesAndFoldersChangePlaces) {
  const bool both = GetParam() == std::string("fake_store");
  const auto shape = [&](const std::string& root, bool first) {
    file::remove(root, true);
    file::write(root.rfind("s3", 0) == 0 ? root + "/keep" : (file::make_dirs(root), root + "/keep"), "1");
    const auto deep = [&](const std::string& name) {
      if (root.rfind("s3", 0) != 0) file::make_dirs(root + "/" + name);
      file::write(root + "/" + name + "/in", "2");
      if (root.rfind("s3", 0) != 0) file::make_dirs(root + "/" + name + "/deep/er");
      file::write(root + "/" + name + "/deep/er/f", "3");
    };
    file::write(root + (first ? "/a" : "/x"), "file");
    deep(first ? "x" : "a");
  };
  struct Way {
    std::string src, dst;
  };
  const Way ways[] = {
      {path("s"), path("d")}, {path("s"), store_ + "/d"}, {store_ + "/s", path("d2")}, {store_ + "/s", store_ + "/d2"}};
  for (const Way& way : ways)
    for (const bool first : {true, false, true}) {
      shape(way.src, first);
      file::sync(way.src, way.dst, {.delete_extra = true});
      EXPECT_EQ(file::list_directory(way.dst, {.recursive = true}), file::list_directory(way.src, {.recursive = true}))
          << way.src << " " << way.dst << " " << both;
      const auto again = file::sync(way.src, way.dst, {.delete_extra = true});
      EXPECT_EQ(again.files + again.deleted, 0) << way.src << " " << way.dst;
    }
}

TEST_P(Sync, FoldersThatTheSourceLacksGo) {
  for (const char* folder : {"s/k/deep", "s/z", "s/empty"}) file::make_dirs(path(folder));
  file::write(path("s/k/deep/f"), "1");
  file::write(path("s/z/f"), "1");
  for (const std::string& dst : {path("d"), store_ + "/d"}) file::sync(path("s"), dst);
  file::remove(path("s/k"), true);
  file::remove(path("s/empty"), true);
  for (const std::string& dst : {path("d"), store_ + "/d"}) {
    file::sync(path("s"), dst, {.delete_extra = true});
    EXPECT_EQ(file::list_directory(dst, {.recursive = true}), (Names{"z", "z/f"})) << dst;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sync, ::testing::Values("versitygw", "minio", "fake_store"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
