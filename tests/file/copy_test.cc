// copy_parallel, sync and rename between all kinds of storage; going on after kill -9; names that must not escape.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
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

std::string random_bytes(size_t size, unsigned seed) {
  std::string data(size, '\0');
  for (char& c : data) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return data;
}

class Copy : public ::testing::Test {
 protected:
  void SetUp() override {
    static int counter = 0;
    std::string pattern = ::testing::TempDir() + "mox_copy_XXXXXX";
    local_ = ::mkdtemp(pattern.data());
    ::setenv("MOX_STATE_DIR", (local_ + "/state").c_str(), 1);
    ::setenv("MOX_SILENT_MODE", "1", 1);
    store_ = "s3://copy-" + std::to_string(counter++);
    use("versitygw");
  }
  void TearDown() override { fs::remove_all(local_); }
  void use(const char* kind) {
    mox::test::use_server(server(kind));
    file::make_dirs(store_);
  }
  void make_tree(const std::string& root) {
    file::make_dirs(root + "/sub/deep");
    file::make_dirs(root + "/empty");
    file::write(root + "/a.txt", "alpha");
    file::write(root + "/sub/b.bin", random_bytes(300000, 1));
    file::write(root + "/sub/deep/c", "");
    file::write(root + "/large", random_bytes(20 << 20, 2));
  }
  void expect_same_tree(const std::string& a, const std::string& b) {
    EXPECT_EQ(file::list_directory(a, {.recursive = true}), file::list_directory(b, {.recursive = true}));
    for (const std::string& name : file::list_directory(a, {.recursive = true, .skip_dir = true}))
      EXPECT_TRUE(file::read(a + "/" + name) == file::read(b + "/" + name)) << name;
  }
  std::string local_, store_;
};

TEST_F(Copy, TreesGoEveryWay) {
  for (const char* kind : {"versitygw", "minio"}) {
    use(kind);
    const std::string local = local_ + "/" + kind;
    make_tree(local + "/src");
    const file::CopySummary up = file::copy_parallel(local + "/src", store_ + "/up");
    EXPECT_EQ(up.files, 4);
    EXPECT_EQ(up.bytes, 5 + 300000 + (20 << 20));
    expect_same_tree(local + "/src", store_ + "/up");
    file::copy_parallel(store_ + "/up", store_ + "/across/");
    expect_same_tree(local + "/src", store_ + "/across");
    file::copy_parallel(store_ + "/across/", local + "/down");
    expect_same_tree(local + "/src", local + "/down");
    file::copy_parallel(local + "/src", local + "/side/by/side", {.threads = 0, .is_processing = false});
    expect_same_tree(local + "/src", local + "/side/by/side");
  }
}

TEST_F(Copy, SingleFilesAndTargets) {
  file::write(local_ + "/f", "data");
  file::make_dirs(local_ + "/folder");
  file::copy_parallel(local_ + "/f", store_ + "/as-file");
  EXPECT_EQ(file::read(store_ + "/as-file"), "data");
  file::copy_parallel(store_ + "/as-file", local_ + "/folder");
  EXPECT_EQ(file::read(local_ + "/folder/as-file"), "data");
  file::copy(local_ + "/f", store_ + "/dir/");
  EXPECT_EQ(file::read(store_ + "/dir/f"), "data");
  EXPECT_THROW(file::copy_parallel(local_ + "/folder", local_ + "/folder/inside"), mox::InvalidArgumentError);
  EXPECT_THROW(file::copy_parallel(local_ + "/none", store_ + "/x"), file::MoxFileNotExistsException);
}

TEST_F(Copy, FileList) {
  make_tree(local_ + "/src");
  file::copy_parallel(local_ + "/src", store_ + "/some", {.file_list = {"a.txt", "sub"}});
  EXPECT_EQ(file::list_directory(store_ + "/some", {.recursive = true, .skip_dir = true}),
            (Names{"a.txt", "sub/b.bin", "sub/deep/c"}));
  try {
    file::copy_parallel(local_ + "/src", store_ + "/more", {.file_list = {"a.txt", "missing"}});
    FAIL();
  } catch (const file::CopyError& e) {
    ASSERT_EQ(e.summary().failed.size(), 1u);
    EXPECT_NE(e.summary().failed[0].path.find("missing"), std::string::npos);
    EXPECT_EQ(e.summary().files, 1);
  }
  EXPECT_THROW(file::copy_parallel(local_ + "/src", store_ + "/x", {.file_list = {"../etc"}}),
               mox::InvalidArgumentError);
}

TEST_F(Copy, SyncSendsOnlyWhatDiffers) {
  make_tree(local_ + "/src");
  EXPECT_EQ(file::sync(local_ + "/src", store_ + "/s").files, 4);
  EXPECT_EQ(file::sync(local_ + "/src", store_ + "/s").files, 0);
  file::write(local_ + "/src/a.txt", "ALPHA");  // the same size, the same second
  file::CopySummary again = file::sync(local_ + "/src", store_ + "/s");
  EXPECT_EQ(again.files, 1);
  EXPECT_EQ(again.skipped, 3);
  EXPECT_EQ(file::read(store_ + "/s/a.txt"), "ALPHA");

  EXPECT_EQ(file::sync(store_ + "/s", local_ + "/down").files, 4);
  EXPECT_EQ(file::sync(store_ + "/s", local_ + "/down").files, 0);
  file::write(store_ + "/s/a.txt", "gamma");
  EXPECT_EQ(file::sync(store_ + "/s", local_ + "/down").files, 1);
  EXPECT_EQ(file::read(local_ + "/down/a.txt"), "gamma");
  file::write(local_ + "/down/extra", "1");
  EXPECT_EQ(file::sync(store_ + "/s", local_ + "/down").deleted, 0);
  EXPECT_EQ(file::sync(store_ + "/s", local_ + "/down", {.delete_extra = true}).deleted, 1);
  EXPECT_FALSE(file::exists(local_ + "/down/extra"));
}

TEST_F(Copy, RenameAcrossStores) {
  make_tree(local_ + "/src");
  file::rename(local_ + "/src", store_ + "/moved");
  EXPECT_FALSE(file::exists(local_ + "/src"));
  file::rename(store_ + "/moved/a.txt", local_ + "/a.txt");
  EXPECT_EQ(file::read(local_ + "/a.txt"), "alpha");
  EXPECT_FALSE(file::exists(store_ + "/moved/a.txt"));
  file::rename(store_ + "/moved", store_ + "/again");
  EXPECT_FALSE(file::exists(store_ + "/moved"));
  EXPECT_EQ(file::get_size(store_ + "/again/large"), 20 << 20);
}

TEST_F(Copy, FileAndFolderOfOneNameCannotBothBeLocal) {
  use("fake_store");
  file::write(store_ + "/d/x", "file");
  file::write(store_ + "/d/x/y", "below");
  EXPECT_THROW(file::copy_parallel(store_ + "/d", local_ + "/d"), file::MoxFileNameDuplicateException);
  file::write(store_ + "/e/z", "file");
  file::make_dirs(local_ + "/there/z");
  EXPECT_THROW(file::copy_parallel(store_ + "/e", local_ + "/there"), file::MoxFileNameDuplicateException);
  EXPECT_TRUE(file::is_directory(local_ + "/there/z"));
}

TEST_F(Copy, KeysNeverLeaveTheDestination) {
  use("fake_store");
  const std::string outside = local_ + "/outside";
  for (const std::string key : {std::string("../outside"), std::string("a/../../outside"), "/" + outside.substr(1),
                                std::string("b//c"), std::string("./d")})
    file::write(store_ + "/evil/" + key, "must not be written");
  file::write(store_ + "/evil/good", "fine");
  try {
    file::copy_parallel(store_ + "/evil", local_ + "/in/dst");
    FAIL();
  } catch (const file::CopyError& e) {
    EXPECT_EQ(e.summary().failed.size(), 5u);
    EXPECT_EQ(e.summary().files, 1);
  }
  EXPECT_EQ(file::list_directory(local_ + "/in", {.recursive = true}), (Names{"dst", "dst/b", "dst/good"}));
  EXPECT_FALSE(file::exists(outside));
}

TEST_F(Copy, CopiesToOnePathNeverMix) {
  ::setenv("MOX_FILE_LARGE_FILE_PART_SIZE", "5242880", 1);
  const std::string contents[] = {random_bytes(11 << 20, 5), random_bytes(12 << 20, 6), random_bytes(1 << 20, 7)};
  for (size_t i = 0; i < 3; ++i) file::write(store_ + "/o" + std::to_string(i), contents[i]);
  const std::string target = local_ + "/shared/target";
  file::make_dirs(local_ + "/shared");
  std::vector<std::thread> copies;
  for (size_t i = 0; i < 9; ++i)
    copies.emplace_back([&, i] { file::copy(store_ + "/o" + std::to_string(i % 3), target); });
  for (auto& copy : copies) copy.join();
  const std::string seen = file::read(target);
  EXPECT_TRUE(seen == contents[0] || seen == contents[1] || seen == contents[2]);
  EXPECT_EQ(file::list_directory(local_ + "/shared"), Names{"target"}) << "part files were left";
  ::unsetenv("MOX_FILE_LARGE_FILE_PART_SIZE");
}

TEST_F(Copy, MillionKeysInConstantMemory) {
  mox::test::use_server(server("fake_store"));
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    long total = 0, pages = 0;
    statm >> total >> pages;
    return pages * 4 / 1024;
  };
  int64_t seen = 0, bytes = 0;
  long before = 0;
  file::list_each("s3://million", {.recursive = true}, [&](const file::DirEntry& entry) {
    bytes += entry.stat.length;
    if (++seen == 20000) before = resident();
    return true;
  });
  EXPECT_EQ(seen, 1000000);
  EXPECT_EQ(bytes, 1000000);
#ifndef NDEBUG_SANITIZER  // sanitizers keep memory of their own
  EXPECT_LT(resident() - before, 10) << "MiB more than after the first 20,000 keys";
#endif
}

TEST_F(Copy, ObsAppendWhereTheStoreOffersIt) {
  mox::test::use_server(server("fake_store"));
  const std::string port = std::to_string(server("fake_store").port());
  // The name of the host is what tells Huawei's store; virtual-host style is its default.
  file::set_auth({.server = "http://obs.localhost:" + port, .path_style = true});
  file::make_dirs("obs://bucket-obs");
  file::append("obs://bucket-obs/log", "one ");
  file::append("obs://bucket-obs/log", "two");
  EXPECT_EQ(file::read("obs://bucket-obs/log"), "one two");
  file::write("obs://bucket-obs/plain", "old ");  // not made by append: rewritten
  file::append("obs://bucket-obs/plain", "new");
  EXPECT_EQ(file::read("obs://bucket-obs/plain"), "old new");
  EXPECT_EQ(file::list_directory("obs://bucket-obs"), (Names{"log", "plain"}));
  file::set_auth({.path_style = false});
}

TEST_F(Copy, VirtualHostStyle) {
  mox::test::use_server(server("fake_store"));
  file::set_auth({.server = "http://localhost:" + std::to_string(server("fake_store").port()), .path_style = false});
  file::make_dirs("s3://virtual-bucket");
  file::write("s3://virtual-bucket/a b/c", "data");
  EXPECT_EQ(file::read("s3://virtual-bucket/a b/c"), "data");
  EXPECT_EQ(file::list_directory("s3://virtual-bucket", {.recursive = true}), (Names{"a b", "a b/c"}));
  file::set_auth({.path_style = true});
  EXPECT_EQ(file::read("s3://virtual-bucket/a b/c"), "data") << "the same bucket by its path";
}

TEST_F(Copy, OneProcessAHostCopies) {
  make_tree(local_ + "/src");
  file::copy_parallel(local_ + "/src", store_ + "/shared");
  std::vector<int64_t> files(4);
  std::vector<std::thread> ranks;
  for (size_t i = 0; i < files.size(); ++i)
    ranks.emplace_back([&, i] { files[i] = file::copy_once_per_host(store_ + "/shared", local_ + "/cache").files; });
  for (auto& rank : ranks) rank.join();
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, (std::vector<int64_t>{0, 0, 0, 4}));
}

// `mox file cp` in a process of its own, killed when `enough` requests of this kind reached the store.
class KilledCopy : public Copy {
 protected:
  void kill_when(const std::string& src, const std::string& dst, const std::string& request, int enough) {
    const pid_t pid = start(src, dst);
    int seen = 0;
    while (seen < enough) {
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, WNOHANG), 0) << "the copy ended before it was killed";
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      seen += count(request);
    }
    ::kill(pid, SIGKILL);
    mox::test::wait_for_program(pid);
    do {  // what was under way reaches the store
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    } while (count(request) > 0);
  }
  pid_t start(const std::string& src, const std::string& dst) {
    return mox::test::start_program({MOX_TEST_PROGRAM, "file", "cp", "-r", "--threads", "2", src, dst}, local_ + "/log",
                                    {{"MOX_SERVER", proxy_.endpoint()},
                                     {"MOX_AK", mox::test::kAccessKey},
                                     {"MOX_SK", mox::test::kSecretKey},
                                     {"MOX_IS_SECURE", "0"},
                                     {"MOX_FILE_LARGE_FILE_PART_SIZE", "5242880"}});
  }
  // Requests since the last call.
  int count(const std::string& request) {
    int found = 0;
    for (const std::string& line : proxy_.report())
      if (line.find(request) != std::string::npos) ++found;
    return found;
  }
  mox::test::FaultProxy proxy_{server("versitygw")};
};

TEST_F(KilledCopy, UploadGoesOnWithThePartsThatAreMissing) {
  const std::string data = random_bytes(60 << 20, 3);
  file::write(local_ + "/big", data);
  proxy_.fault("slow", 100000, "PUT", "partNumber", 0.15);
  kill_when(local_ + "/big", store_ + "/big", "partNumber=", 4);
  EXPECT_FALSE(file::exists(store_ + "/big")) << "nothing under the name before all is there";
  EXPECT_EQ(mox::test::wait_for_program(start(local_ + "/big", store_ + "/big")), 0);
  const int sent = count("partNumber=");
  EXPECT_LE(sent, 12 - 3) << "parts that were there were sent again";
  EXPECT_TRUE(file::read(store_ + "/big") == data);
}

TEST_F(KilledCopy, DownloadGoesOnWithThePartsThatAreMissing) {
  const std::string data = random_bytes(60 << 20, 4);
  file::write(store_ + "/big", data);
  proxy_.fault("slow", 100000, "GET", "/big", 0.15);
  kill_when(store_ + "/big", local_ + "/big", "GET", 5);
  EXPECT_FALSE(file::exists(local_ + "/big"));
  EXPECT_EQ(mox::test::wait_for_program(start(store_ + "/big", local_ + "/big")), 0);
  EXPECT_LE(count("GET"), 12 - 2);
  EXPECT_TRUE(file::read(local_ + "/big") == data);
  EXPECT_EQ(file::list_directory(local_, {.skip_dir = true}), (Names{"big", "log"})) << "the part file is gone";
}

TEST_F(KilledCopy, FolderGoesOnWithTheFilesThatAreMissing) {
  file::make_dirs(local_ + "/many");
  for (int i = 0; i < 40; ++i) file::write(local_ + "/many/f" + std::to_string(i), "content " + std::to_string(i));
  proxy_.fault("slow", 100000, "PUT", ".*", 0.05);
  kill_when(local_ + "/many", store_ + "/many", "PUT", 15);
  EXPECT_EQ(mox::test::wait_for_program(start(local_ + "/many", store_ + "/many")), 0);
  EXPECT_LE(count("PUT"), 40 - 12);
  EXPECT_EQ(file::list_directory(store_ + "/many").size(), 40u);
}

}  // namespace
