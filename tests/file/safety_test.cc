// Nothing is lost: places that are refused, moves, sources that change, things that are one thing under two names.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "file/servers.h"
#include "moxing/file.h"

namespace fs = std::filesystem;
namespace file = mox::file;
using mox::test::server;
using Names = std::vector<std::string>;

namespace {

class Safety : public ::testing::Test {
 protected:
  void SetUp() override {
    static int counter = 0;
    std::string pattern = ::testing::TempDir() + "mox_safety_XXXXXX";
    local_ = fs::canonical(::mkdtemp(pattern.data())).string();
    ::setenv("MOX_STATE_DIR", (local_ + "/state").c_str(), 1);
    ::setenv("MOX_SILENT_MODE", "1", 1);
    store_ = "s3://safety-" + std::to_string(counter++);
  }
  void TearDown() override {
    fs::current_path("/");
    fs::remove_all(local_);
  }
  void use(const char* kind) {
    mox::test::use_server(server(kind));
    file::make_dirs(store_);
  }
  std::string path(const std::string& name) const { return local_ + "/" + name; }
  std::string local_, store_;
};

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const mox::InvalidArgumentError& e) {
    return e.what();
  }
  return "";
}

// check_removable judges without removing: nothing here could do harm if it were wrong.
TEST_F(Safety, PlacesThatNobodyMeansAreRefused) {
  file::make_dirs(path("home/user/work"));
  file::make_dirs(path("plain/sub"));
  fs::create_directory_symlink("/", path("to_root"));
  const char* home = std::getenv("HOME");
  const std::string old_home = home ? home : "";
  ::setenv("HOME", path("home/user").c_str(), 1);
  fs::current_path(path("plain"));
  for (const std::string& place : {std::string("/"),
                                   std::string("//"),
                                   std::string("/./"),
                                   std::string("/tmp/../"),
                                   std::string("/tmp/.."),
                                   std::string("."),
                                   std::string(".."),
                                   std::string("./"),
                                   std::string("../"),
                                   std::string("sub/.."),
                                   std::string("sub/."),
                                   std::string("file:///"),
                                   path("plain"),
                                   path("plain/"),
                                   path("home/user/work/../../../plain"),
                                   path("home/user"),
                                   path("home"),
                                   path("home/./user//"),
                                   path("to_root/"
                                        "proc"),
                                   std::string("/proc"),
                                   std::string("/dev"),
                                   local_})
    EXPECT_NE(refusal([&] { file::check_removable(place); }), "") << place;
  for (const std::string& place : {path("plain/sub"), std::string("sub"), path("home/user/work"), path("to_root"),
                                   path("missing"), std::string("../home/user/work")})
    EXPECT_EQ(refusal([&] { file::check_removable(place); }), "") << place;
  // What removes asks first. These folders may be lost.
  EXPECT_NE(refusal([&] { file::remove(path("home"), true); }).find("home folder"), std::string::npos);
  EXPECT_NE(refusal([&] { file::remove(path("plain"), true); }).find("current folder"), std::string::npos);
  EXPECT_NE(refusal([&] { file::sync(path("plain/sub"), path("home/user"), {.delete_extra = true}); }), "");
  EXPECT_NE(refusal([&] { file::sync(path("home/user/work"), ".", {.delete_extra = true}); }), "");
  EXPECT_NE(refusal([&] { file::rename(path("plain/sub"), path("home/user")); }), "");
  EXPECT_NE(refusal([&] { file::rename(path("home/user"), path("elsewhere")); }), "");
  EXPECT_NE(refusal([&] { file::rename("sub", "."); }), "");
  EXPECT_TRUE(file::exists(path("home/user/work")));
  EXPECT_TRUE(file::exists(path("plain/sub")));
  ::setenv("HOME", old_home.c_str(), 1);
}

TEST_F(Safety, WholeBucketsNeedTheirOwnWord) {
  for (const char* kind : {"versitygw", "minio", "fake_store"}) {
    use(kind);
    file::write(store_ + "/a/b", "1");
    for (const std::string& bucket : {store_, store_ + "/", "obs" + store_.substr(2)})
      for (const bool recursive : {false, true})
        EXPECT_NE(refusal([&] { file::remove(bucket, recursive); }).find("bucket"), std::string::npos) << bucket;
    EXPECT_NE(refusal([&] { file::rename(store_, local_ + "/x"); }), "");
    file::make_dirs(path("empty"));
    EXPECT_NE(refusal([&] { file::sync(path("empty"), store_, {.delete_extra = true}); }), "");
    EXPECT_NE(refusal([&] { file::rename(path("empty"), store_); }), "");
    EXPECT_EQ(file::read(store_ + "/a/b"), "1");
    EXPECT_EQ(file::sync(path("empty"), store_, {.delete_extra = true, .bucket = true}).deleted, 1);
    file::write(store_ + "/a/b", "1");
    file::remove(store_, true, /*bucket=*/true);
    // MinIO that has just started may still tell of a bucket for a moment after it said that it is gone.
    for (int i = 0; i < 500 && file::exists(store_); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(file::exists(store_)) << kind;
  }
  EXPECT_NE(refusal([] { file::remove("s3://", true); }), "");
}

TEST_F(Safety, DeletingNeverGoesThroughALinkNorIntoTheSource) {
  file::make_dirs(path("other"));
  file::write(path("other/precious"), "1");
  file::make_dirs(path("src"));
  file::write(path("src/f"), "2");
  file::make_dirs(path("dst/folder"));
  fs::create_directory_symlink(path("other"), path("dst/link"));
  fs::create_directory_symlink(path("other"), path("dst/folder/inner"));
  EXPECT_EQ(file::sync(path("src"), path("dst"), {.delete_extra = true}).deleted, 2);
  EXPECT_EQ(file::list_directory(path("dst"), {.recursive = true}), (Names{"f"}));
  EXPECT_EQ(file::read(path("other/precious")), "1");

  fs::create_directory_symlink(path("other"), path("dst/kept"));
  file::make_dirs(path("src/kept"));
  file::write(path("src/kept/new"), "3");
  for (const int64_t expected : {1, 0})  // written through the link, and found again there
    EXPECT_EQ(file::sync(path("src"), path("dst"), {.delete_extra = true}).files, expected);
  EXPECT_EQ(file::list_directory(path("other")), (Names{"new", "precious"}));

  EXPECT_NE(refusal([&] { file::sync(path("src/kept"), path("src"), {.delete_extra = true}); }), "");
  EXPECT_NE(refusal([&] { file::sync(path("src"), path("dst"), {.file_list = {"f"}, .delete_extra = true}); }), "");
}

TEST_F(Safety, FoldersThatCannotBeReadWholeAreNeverTakenForEmpty) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  file::make_dirs(path("src/closed"));
  file::write(path("src/closed/f"), "1");
  file::sync(path("src"), path("dst"));
  ::chmod(path("src/closed").c_str(), 0);
  EXPECT_THROW(file::sync(path("src"), path("dst"), {.delete_extra = true}), mox::Error);
  ::chmod(path("src/closed").c_str(), 0755);
  EXPECT_EQ(file::read(path("dst/closed/f")), "1");
}

TEST_F(Safety, AppendingAFileToItselfIsRefused) {
  file::write(path("f"), "hello");
  fs::create_symlink("f", path("soft"));
  fs::create_hard_link(path("f"), path("hard"));
  for (const std::string& other : {path("f"), path("soft"), path("hard"), "file://" + path("f"), path("./f")}) {
    EXPECT_NE(refusal([&] { file::append_remote(other, path("f")); }), "") << other;
    EXPECT_NE(refusal([&] { file::append_remote(path("f"), other); }), "") << other;
  }
  EXPECT_EQ(file::read(path("f")), "hello");
  use("versitygw");
  file::write(store_ + "/f", "hello");
  EXPECT_NE(refusal([&] { file::append_remote(store_ + "/f", "obs" + store_.substr(2) + "/f"); }), "");
  EXPECT_EQ(file::read(store_ + "/f"), "hello");
}

TEST_F(Safety, AMoveOntoItselfUnderAnotherNameLosesNothing) {
  for (const char* kind : {"versitygw", "minio", "fake_store"}) {
    use(kind);
    const std::string same = "obs" + store_.substr(2);
    file::write(store_ + "/x", "precious");
    file::write(store_ + "/d/x", "precious");
    file::rename(store_ + "/x", same + "/x");
    file::rename(store_ + "/d", same + "/d/");
    EXPECT_EQ(file::copy_parallel(store_ + "/x", same + "/x").skipped, 1);
    EXPECT_NE(refusal([&] { file::rename(store_ + "/d", same + "/d/sub"); }), "");
    EXPECT_EQ(file::read(store_ + "/x"), "precious");
    EXPECT_EQ(file::list_directory(store_ + "/d", {.recursive = true}), Names{"x"});
  }
  std::string elsewhere = "/dev/shm/mox_safety_XXXXXX";
  struct ::stat here, there;
  if (!::mkdtemp(elsewhere.data())) GTEST_SKIP() << "no second file system";
  ::stat(local_.c_str(), &here);
  ::stat(elsewhere.c_str(), &there);
  file::write(path("f"), "data");
  fs::create_symlink(path("f"), elsewhere + "/link");
  if (here.st_dev != there.st_dev) EXPECT_NE(refusal([&] { file::rename(path("f"), elsewhere + "/link"); }), "");
  EXPECT_EQ(file::read(elsewhere + "/link"), "data");
  file::make_dirs(path("d/sub"));
  file::write(path("d/sub/f"), "data");
  file::make_dirs(path("outside"));
  file::write(path("outside/kept"), "data");
  fs::create_directory_symlink(path("outside"), path("d/link"));
  file::rename(path("d"), elsewhere + "/d");
  EXPECT_FALSE(file::exists(path("d")));
  EXPECT_EQ(file::read(elsewhere + "/d/sub/f") + file::read(elsewhere + "/d/link/kept"), "datadata");
  EXPECT_EQ(file::read(path("outside/kept")), "data") << "what is behind a link is copied, not moved";
  fs::remove_all(elsewhere);
}

// The proxy answers slowly, so that there is a moment after the first request in which something happens.
class SlowStore : public Safety {
 protected:
  void SetUp() override {
    Safety::SetUp();
    use("versitygw");
    file::set_auth({.server = proxy_.endpoint()});
  }
  void TearDown() override {
    proxy_.fault("none", 0);
    Safety::TearDown();
  }
  // Does `change` as soon as a request of this kind has reached the store while `work` runs; what `work` threw.
  std::string run_and_change(const std::function<void()>& work, const std::string& request,
                             const std::function<void()>& change) {
    proxy_.fault("slow", 1000, "PUT", ".*", 0.2);
    proxy_.report();
    std::string thrown;
    std::thread worker([&] {
      try {
        work();
      } catch (const mox::Error& e) {
        thrown = e.what();
      }
    });
    for (bool seen = false; !seen;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      for (const std::string& line : proxy_.report()) seen = seen || line.find(request) != std::string::npos;
    }
    change();
    worker.join();
    return thrown;
  }
  mox::test::FaultProxy proxy_{server("versitygw")};
};

TEST_F(SlowStore, ASourceThatChangesWhileItGoesUpIsAFailure) {
  ::setenv("MOX_FILE_LARGE_FILE_PART_SIZE", "5242880", 1);
  const std::string data(24 << 20, 'a');
  const auto change = [&](const char* how) {
    if (how == std::string("shrank")) ::truncate(path("f").c_str(), 1000);
    if (how == std::string("grew")) file::append(path("f"), "more");
    if (how == std::string("rewritten")) std::fstream(path("f"), std::ios::in | std::ios::out).write("xyz", 3);
  };
  for (const char* how : {"shrank", "grew", "rewritten"}) {
    file::write(path("f"), data);
    const std::string thrown =
        run_and_change([&] { file::copy(path("f"), store_ + "/f"); }, "partNumber=", [&] { change(how); });
    EXPECT_TRUE(thrown.find("became shorter") != std::string::npos || thrown.find(how) != std::string::npos) << thrown;
    EXPECT_FALSE(file::exists(store_ + "/f")) << how;
  }
  ::unsetenv("MOX_FILE_LARGE_FILE_PART_SIZE");
}

TEST_F(SlowStore, AMoveLeavesWhatItDidNotCopy) {
  file::make_dirs(path("d"));
  for (int i = 0; i < 20; ++i) file::write(path("d/f" + std::to_string(i)), "content");
  const std::string thrown = run_and_change([&] { file::rename(path("d"), store_ + "/d"); }, "/d/",
                                            [&] {
                                              file::make_dirs(path("d/sub"));
                                              file::write(path("d/sub/came"), "later");
                                              file::write(path("d/f7"), "CHANGED");
                                            });
  EXPECT_NE(thrown, "");
  EXPECT_EQ(file::read(path("d/sub/came")), "later");
  EXPECT_TRUE(file::exists(path("d/f7")) || file::read(store_ + "/d/f7") == "CHANGED");
  proxy_.fault("none", 0);
  file::rename(path("d"), store_ + "/d");  // the rest
  EXPECT_FALSE(file::exists(path("d")));
  EXPECT_EQ(file::read(store_ + "/d/f7"), "CHANGED");
  EXPECT_EQ(file::list_directory(store_ + "/d", {.recursive = true, .skip_dir = true}).size(), 21u);
}

TEST_F(Safety, ALocalSourceThatGrowsIsAFailure) {
  file::write(path("f"), std::string(8 << 20, 'a'));
  std::atomic<bool> stop{false};
  std::atomic<int64_t> appended{0};
  std::thread writer([&] {
    while (!stop) {
      std::ofstream(path("f"), std::ios::app) << "x";
      ++appended;
    }
  });
  while (appended == 0) std::this_thread::yield();
  std::string thrown;
  const int64_t before = appended;
  try {
    file::copy(path("f"), path("g"));
  } catch (const file::MoxFileReadException& e) {
    thrown = e.what();
  }
  const bool wrote_meanwhile = appended > before + 1;
  stop = true;
  writer.join();
  if (wrote_meanwhile) {
    EXPECT_NE(thrown.find("grew to"), std::string::npos);
    EXPECT_FALSE(file::exists(path("g")));
  }
}

TEST_F(Safety, FilesThatTellNoSizeOrAWrongOneAreCopiedWhole) {
  use("versitygw");
  for (const std::string& source : {std::string("/proc/cpuinfo"), std::string("/proc/self/environ")}) {
    const std::string content = file::read(source);
    ASSERT_FALSE(content.empty());
    file::copy(source, path("copy"));
    file::copy(source, store_ + "/copy");
    file::sync(source, path("synced"));
    file::append_remote(source, path("appended"));
    file::append_remote(source, store_ + "/appended");
    for (const std::string& copy :
         {path("copy"), store_ + "/copy", path("synced"), path("appended"), store_ + "/appended"})
      EXPECT_GT(file::get_size(copy), 0) << source << " " << copy;
    EXPECT_EQ(file::read(store_ + "/copy").substr(0, 20), content.substr(0, 20));
    fs::remove(path("appended"));
    file::remove(store_ + "/appended");
  }
  const std::string told = "/sys/kernel/mm/transparent_hugepage/enabled";  // says 4096 bytes
  if (fs::exists(told)) {
    const std::string content = file::read(told);
    EXPECT_LT(content.size(), 4096u);
    file::copy(told, path("sys"));
    file::copy(told, store_ + "/sys");
    EXPECT_EQ(file::read(path("sys")), content);
    EXPECT_EQ(file::read(store_ + "/sys"), content);
  }
}

TEST_F(Safety, AFoldersNameIsNoPattern) {
  for (const char* name : {"run[1]", "run1", "a*b", "axb", "q?", "qx", "back\\slash", "[]", "{x,y}"}) {
    file::make_dirs(path(name));
    file::write(path(name) + "/f.txt", name);
  }
  EXPECT_EQ(file::glob(path("run[1]/*.txt")), Names{path("run[1]/f.txt")});
  EXPECT_EQ(file::glob(path("a*b/*.txt")), Names{path("a*b/f.txt")});
  EXPECT_EQ(file::glob(path("q?/*.txt")), Names{path("q?/f.txt")});
  EXPECT_EQ(file::glob(path("run[12]/*.txt")), Names{path("run1/f.txt")});  // no folder has this name
  EXPECT_EQ(file::glob(path("a*/f.*")), (Names{path("a*b/f.txt"), path("axb/f.txt")}));
  EXPECT_EQ(file::glob(path("back\\slash/*")), Names{path("back\\slash/f.txt")});
  for (const char* name : {"run[1]", "a*b", "q?", "[]", "{x,y}"}) {
    EXPECT_EQ(file::glob(path(name), "*.txt"), Names{path(name) + "/f.txt"});
    fs::current_path(path(name));
    EXPECT_EQ(file::glob("*.txt"), Names{path(name) + "/f.txt"});
    EXPECT_EQ(file::glob("f.txt"), Names{path(name) + "/f.txt"});
  }
  fs::current_path("/");
  use("versitygw");
  file::write(store_ + "/run[1]/f.txt", "1");
  file::write(store_ + "/run1/f.txt", "2");
  EXPECT_EQ(file::glob(store_ + "/run[1]/*.txt"), Names{store_ + "/run[1]/f.txt"});
  EXPECT_EQ(file::glob(store_ + "/run[1]", "**/*.txt"), Names{store_ + "/run[1]/f.txt"});
}

}  // namespace
