// What a user may rely on whatever a path begins with, as tests: a storage on mox::file::FileSystem conforms when all
// of them pass. Include it in one .cc of a test program on GoogleTest, and say with a Storage how to reach yours:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, FileSystemConformance, ::testing::Values(mox::testing::Storage{"mine", make_root}));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "moxing/file.h"
#include "moxing/file_stream.h"

namespace mox::testing {

// What becomes of a file `x` beside a folder `x/`: it cannot be; it can, but the folder is not listed then; they are
// two things side by side.
enum class FileBesideFolder { kRefused, kHidesFolder, kBoth };

// A storage and what it may do in its own way.
struct Storage {
  std::string name;                        // of the tests: letters, digits and '_'
  std::function<std::string()> make_root;  // a folder, "mem://tests-1", with nothing in it, another one in each call
  std::function<void(const std::string& root)> remove_root = nullptr;  // after each test; default: nothing
  FileBesideFolder file_beside_folder = FileBesideFolder::kBoth;
  int status_of_missing = 0;  // resp().status of MoxFileNotExistsException: 404 of an HTTP store
  bool is_local = false;      // the local disk: folders must be there before files, get_size counts what they hold
  std::function<void()> begin_small_pages = nullptr, end_small_pages = nullptr;  // listings in pages of a few names
};

inline void PrintTo(const Storage& storage, std::ostream* out) { *out << storage.name; }

namespace file = mox::file;
using Names = std::vector<std::string>;

class FileSystemConformance : public ::testing::TestWithParam<Storage> {
 protected:
  void SetUp() override { root_ = GetParam().make_root(); }
  void TearDown() override {
    if (GetParam().remove_root) GetParam().remove_root(root_);
  }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  // Writes a file; a local disk needs its folders first.
  void put(const std::string& name, const std::string& data = "1") {
    if (GetParam().is_local) file::make_dirs(path(name.substr(0, name.rfind('/') + 1)));
    file::write(path(name), data);
  }
  std::string root_;
};

TEST_P(FileSystemConformance, WriteReadBackReplaceAppend) {
  EXPECT_FALSE(file::exists(path("a.txt")));
  file::write(path("a.txt"), "first");
  EXPECT_EQ(file::read(path("a.txt")), "first");
  file::write(path("a.txt"), std::string("\0\xff\n", 3));
  EXPECT_EQ(file::read(path("a.txt")), std::string("\0\xff\n", 3));
  file::append(path("a.txt"), "tail");
  EXPECT_EQ(file::read(path("a.txt")), std::string("\0\xff\n", 3) + "tail");
  file::append(path("made.txt"), "by append");
  EXPECT_EQ(file::read(path("made.txt")), "by append");
}

TEST_P(FileSystemConformance, EmptyFile) {
  file::write(path("empty"), "");
  EXPECT_TRUE(file::exists(path("empty")));
  EXPECT_FALSE(file::is_directory(path("empty")));
  EXPECT_EQ(file::read(path("empty")), "");
  EXPECT_EQ(file::get_size(path("empty")), 0);
  file::copy(path("empty"), path("empty2"));
  EXPECT_EQ(file::read(path("empty2")), "");
}

TEST_P(FileSystemConformance, LargeContentGoesInParts) {
  std::string data(23 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 >> 7);
  file::write(path("large"), data);
  EXPECT_TRUE(file::read(path("large")) == data);
  file::append(path("large"), "end");
  const std::string longer = file::read(path("large"));
  EXPECT_EQ(longer.size(), data.size() + 3);
  EXPECT_TRUE(longer.substr(0, data.size()) == data && longer.substr(data.size()) == "end");
}

TEST_P(FileSystemConformance, AppendRemoteJoinsOfAnySize) {
  const std::string large(6 << 20, 'L');
  file::write(path("small"), "small");
  file::write(path("large"), large);
  file::append_remote(path("small"), path("new"));
  EXPECT_EQ(file::read(path("new")), "small");
  file::append_remote(path("large"), path("new"));
  EXPECT_TRUE(file::read(path("new")) == "small" + large);
  file::append_remote(path("small"), path("new"));
  EXPECT_TRUE(file::read(path("new")) == "small" + large + "small");
}

TEST_P(FileSystemConformance, MissingThings) {
  EXPECT_THROW(file::read(path("no")), file::MoxFileNotExistsException);
  EXPECT_THROW(file::stat(path("no")), file::MoxFileNotExistsException);
  EXPECT_THROW(file::get_size(path("no")), file::MoxFileNotExistsException);
  EXPECT_THROW(file::list_directory(path("no")), file::MoxFileNotExistsException);
  EXPECT_THROW(file::copy(path("no"), path("b")), file::MoxFileNotExistsException);
  EXPECT_THROW(file::rename(path("no"), path("b")), file::MoxFileNotExistsException);
  EXPECT_FALSE(file::is_directory(path("no")));
  file::remove(path("no"));
  file::remove(path("no"), true);
  EXPECT_EQ(file::glob(path("no*")), Names{});
}

TEST_P(FileSystemConformance, ErrorsNameOperationAndPath) {
  try {
    file::read(path("no/such"));
    FAIL();
  } catch (const file::MoxFileNotExistsException& e) {
    EXPECT_NE(std::string(e.what()).find("read '" + path("no/such")), std::string::npos) << e.what();
    EXPECT_EQ(e.resp().status, GetParam().status_of_missing);
  }
}

TEST_P(FileSystemConformance, Stat) {
  put("d/f", "12345");
  const file::Stat f = file::stat(path("d/f"));
  EXPECT_EQ(f.length, 5);
  EXPECT_FALSE(f.is_directory);
  EXPECT_GT(f.mtime_nsec, 1600000000000000000);
  EXPECT_TRUE(file::stat(path("d")).is_directory);
  EXPECT_TRUE(file::stat(path("d/")).is_directory);
  EXPECT_TRUE(file::stat(root_).is_directory);
  EXPECT_FALSE(file::exists(path("d/f/")));
}

TEST_P(FileSystemConformance, SizeOfFolders) {
  put("d/a", "123");
  put("d/e/b", "4567");
  EXPECT_EQ(file::get_size(path("d"), true), 7);
  EXPECT_EQ(file::get_size(path("d")), GetParam().is_local ? 7 : 0);
}

TEST_P(FileSystemConformance, Listings) {
  for (const char* name : {"d/b.txt", "d/a-.txt", "d/a/x", "d/a/y/z", "d/c"}) put(name);
  EXPECT_EQ(file::list_directory(path("d")), (Names{"a-.txt", "a", "b.txt", "c"}));
  EXPECT_EQ(file::list_directory(path("d/"), {.remove_sep = false}), (Names{"a-.txt", "a/", "b.txt", "c"}));
  EXPECT_EQ(file::list_directory(path("d"), {.skip_file = true}), (Names{"a"}));
  EXPECT_EQ(file::list_directory(path("d"), {.skip_dir = true}), (Names{"a-.txt", "b.txt", "c"}));
  EXPECT_EQ(file::list_directory(path("d"), {.recursive = true}),
            (Names{"a-.txt", "a", "a/x", "a/y", "a/y/z", "b.txt", "c"}));
  EXPECT_THROW(file::list_directory(path("d/c")), file::OsError);
}

TEST_P(FileSystemConformance, ScanDirTellsKindAndSize) {
  put("d/f", "123");
  put("d/g/h", "1");
  const auto entries = file::scan_dir(path("d"));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "f");
  EXPECT_EQ(entries[0].path, path("d/f"));
  EXPECT_EQ(entries[0].stat.length, 3);
  EXPECT_TRUE(entries[0].is_file());
  EXPECT_TRUE(entries[1].is_dir());
}

TEST_P(FileSystemConformance, ListingOverSeveralPages) {
  if (GetParam().begin_small_pages) GetParam().begin_small_pages();
  Names expected;
  for (int i = 0; i < 10; ++i) {
    expected.push_back("f" + std::to_string(i));
    put("many/" + expected.back(), "1");
  }
  EXPECT_EQ(file::list_directory(path("many")), expected);
  EXPECT_EQ(file::list_directory(path("many"), {.recursive = true}), expected);
  int seen = 0;
  file::list_each(path("many"), {}, [&](const file::DirEntry&) { return ++seen < 4; });
  EXPECT_EQ(seen, 4);
  file::remove(path("many"), true);
  EXPECT_FALSE(file::exists(path("many")));
  if (GetParam().end_small_pages) GetParam().end_small_pages();
}

TEST_P(FileSystemConformance, WalkTopDownAndBottomUp) {
  for (const char* name : {"w/a/1", "w/b/2", "w/3"}) put(name);
  Names seen;
  const auto note = [&](file::WalkEntry& entry) {
    std::string text = entry.dirpath.substr(root_.size()) + ":";
    for (const auto& name : entry.dirnames) text += " " + name + "/";
    for (const auto& name : entry.filenames) text += " " + name;
    seen.push_back(text);
  };
  file::walk(path("w"), note);
  EXPECT_EQ(seen, (Names{"/w: a/ b/ 3", "/w/a: 1", "/w/b: 2"}));
  seen.clear();
  file::walk(path("w"), note, /*topdown=*/false);
  EXPECT_EQ(seen, (Names{"/w/a: 1", "/w/b: 2", "/w: a/ b/ 3"}));
  seen.clear();
  file::walk(path("w"), [&](file::WalkEntry& entry) {
    note(entry);
    if (entry.dirpath == path("w")) entry.dirnames = {"b"};
  });
  EXPECT_EQ(seen, (Names{"/w: a/ b/ 3", "/w/b: 2"}));
}

TEST_P(FileSystemConformance, Glob) {
  for (const char* name : {"g/a.jpg", "g/b.jpg", "g/c.png", "g/.hidden.jpg", "g/s/d.jpg", "g/s/t/e.jpg", "g/[x].jpg"})
    put(name);
  EXPECT_EQ(file::glob(path("g/*.jpg")), (Names{path("g/[x].jpg"), path("g/a.jpg"), path("g/b.jpg")}));
  EXPECT_EQ(file::glob(path("g/[ab].jpg")), (Names{path("g/a.jpg"), path("g/b.jpg")}));
  EXPECT_EQ(file::glob(path("g/[!a].jpg")), (Names{path("g/b.jpg")}));
  EXPECT_EQ(file::glob(path("g/[[]x].jpg")), (Names{path("g/[x].jpg")}));
  EXPECT_EQ(file::glob(path("g/?.p?g")), (Names{path("g/c.png")}));
  EXPECT_EQ(file::glob(path("*/s/*.jpg")), (Names{path("g/s/d.jpg")}));
  EXPECT_EQ(file::glob(path("g/**/*.jpg")),
            (Names{path("g/[x].jpg"), path("g/a.jpg"), path("g/b.jpg"), path("g/s/d.jpg"), path("g/s/t/e.jpg")}));
  EXPECT_EQ(file::glob(path("g/**/t/*")), (Names{path("g/s/t/e.jpg")}));
  EXPECT_EQ(file::glob(path("g/*/")), (Names{path("g/s/")}));
  EXPECT_EQ(file::glob(path("g/a.jpg")), (Names{path("g/a.jpg")}));
  EXPECT_EQ(file::glob(path("g/.*.jpg")), (Names{path("g/.hidden.jpg")}));
}

TEST_P(FileSystemConformance, MakingFolders) {
  try {
    file::mk_dir(path("p/q"));
    FAIL() << "the parent is missing";
  } catch (const file::OsError& e) {
    EXPECT_EQ(e.code(), ENOENT);
  }
  file::mk_dir(path("p"));
  file::mk_dir(path("p/q"));
  EXPECT_TRUE(file::is_directory(path("p/q")));
  EXPECT_EQ(file::list_directory(path("p/q")), Names{});
  try {
    file::mk_dir(path("p"));
    FAIL() << "it is there already";
  } catch (const file::OsError& e) {
    EXPECT_EQ(e.code(), EEXIST);
  }
  file::make_dirs(path("m/n/o"));
  file::make_dirs(path("m/n/o"));
  EXPECT_TRUE(file::is_directory(path("m/n")));
  EXPECT_EQ(file::list_directory(path("m"), {.recursive = true}), (Names{"n", "n/o"}));
}

// The manual's six cases.
TEST_P(FileSystemConformance, RemoveFollowsTheTable) {
  const auto fresh = [&] {
    put("r/file", "1");
    put("r/dir/x", "1");
  };
  fresh();
  file::remove(path("r/file"));  // 1: only the file
  EXPECT_FALSE(file::exists(path("r/file")));
  EXPECT_TRUE(file::exists(path("r/dir/x")));
  fresh();
  file::remove(path("r/dir"), true);  // 2: only the folder, both spellings
  EXPECT_FALSE(file::exists(path("r/dir")));
  EXPECT_TRUE(file::exists(path("r/file")));
  fresh();
  file::remove(path("r/dir/"), true);
  EXPECT_FALSE(file::exists(path("r/dir")));
  fresh();
  file::remove(path("r/file/"));  // 3: nothing, whether recursive or not
  file::remove(path("r/file/"), true);
  EXPECT_TRUE(file::exists(path("r/file")));
  file::remove(path("r/dir"));  // 4: nothing
  EXPECT_TRUE(file::exists(path("r/dir/x")));
  file::remove(path("r/dir/"));  // 5: nothing
  EXPECT_TRUE(file::exists(path("r/dir/x")));
  file::remove(path("r/file"), true);  // 6: only the file
  EXPECT_FALSE(file::exists(path("r/file")));
  EXPECT_TRUE(file::exists(path("r/dir/x")));
}

TEST_P(FileSystemConformance, FileBesideFolderOfTheSameName) {
  put("x/y", "below");
  if (GetParam().file_beside_folder == FileBesideFolder::kRefused) {
    EXPECT_THROW(file::write(path("x"), "file"), mox::Error);
    EXPECT_EQ(file::read(path("x/y")), "below");
    return;
  }
  file::write(path("x"), "file");
  EXPECT_EQ(file::read(path("x")), "file");
  EXPECT_FALSE(file::stat(path("x")).is_directory);
  if (GetParam().file_beside_folder == FileBesideFolder::kHidesFolder) {
    EXPECT_EQ(file::read(path("x/y")), "below");
    EXPECT_EQ(file::list_directory(root_), Names{"x"});
    file::remove(path("x"));
    EXPECT_EQ(file::list_directory(root_, {.recursive = true}), (Names{"x", "x/y"}));
    return;
  }
  EXPECT_TRUE(file::is_directory(path("x")));
  EXPECT_EQ(file::list_directory(root_, {.remove_sep = false}), (Names{"x", "x/"}));
  file::remove(path("x"));
  EXPECT_EQ(file::list_directory(root_, {.recursive = true}), (Names{"x", "x/y"}));
  file::write(path("x"), "file");
  file::remove(path("x/"), true);
  EXPECT_EQ(file::read(path("x")), "file");
  EXPECT_FALSE(file::exists(path("x/y")));
  put("x/y", "below");
  file::remove(path("x"), true);  // each row of the table for its own thing: both go
  EXPECT_EQ(file::list_directory(root_), Names{});
}

TEST_P(FileSystemConformance, StrangeNames) {
  Names names = {"with space",    "plus+sign",  "per%cent",    "100%25",     "quote'\"",  "a&b=c;d", "k?q#f",
                 "ünï/cødé/文件", "(a)!*~,$@:", "back\\slash", "<xml>&amp;", "trailing.", "tab\tin", "e\xCC\x81"};
  for (const std::string& name : names) {
    put("s/" + name, "of " + name);
    EXPECT_EQ(file::read(path("s/" + name)), "of " + name) << name;
    EXPECT_TRUE(file::exists(path("s/" + name))) << name;
  }
  const Names listed = file::list_directory(path("s"), {.recursive = true, .skip_dir = true});
  Names sorted = names;
  std::sort(sorted.begin(), sorted.end());
  Names got = listed;
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, sorted);
  file::copy(path("s/per%cent"), path("s2/plus+ &copy"));
  EXPECT_EQ(file::read(path("s2/plus+ &copy")), "of per%cent");
  file::remove(path("s"), true);
  EXPECT_FALSE(file::exists(path("s")));
}

TEST_P(FileSystemConformance, LongKeys) {
  std::string key;
  while (key.size() < 1000) key += std::string(99, 'k') + "/";
  key.resize(1000);
  key += std::string(24, 'e');
  key = "l/" + key.substr(2);
  ASSERT_EQ(key.size(), 1024u);
  put(key, "deep");
  EXPECT_EQ(file::read(path(key)), "deep");
  EXPECT_EQ(file::list_directory(path("l"), {.recursive = true, .skip_dir = true}), (Names{key.substr(2)}));
}

TEST_P(FileSystemConformance, CopyAndRename) {
  file::write(path("a"), "data");
  file::copy(path("a"), path("b/c"));
  EXPECT_EQ(file::read(path("b/c")), "data");
  EXPECT_EQ(file::read(path("a")), "data");
  file::rename(path("a"), path("b/d"));
  EXPECT_FALSE(file::exists(path("a")));
  EXPECT_EQ(file::read(path("b/d")), "data");
  file::rename(path("b"), path("moved"));
  EXPECT_FALSE(file::exists(path("b")));
  EXPECT_EQ(file::list_directory(path("moved")), (Names{"c", "d"}));
  try {
    file::copy(path("moved"), path("other"));
    FAIL() << "a folder";
  } catch (const file::OsError& e) {
    EXPECT_EQ(e.code(), EISDIR);
    EXPECT_NE(std::string(e.what()).find("copy_parallel"), std::string::npos);
  }
}

// Streams: what is read and written piece by piece.
TEST_P(FileSystemConformance, StreamsReadSeekAndWrite) {
  {
    file::File out(path("f"), "wb");
    out.writelines({"one ", "two "});
    EXPECT_EQ(out.tell(), 8);
    out.flush();
    EXPECT_EQ(file::read(path("f")), "one two ");
    out.write("three");
    out.close();
  }
  file::File in(path("f"), "rb");
  EXPECT_EQ(in.size(), 13);
  EXPECT_EQ(in.read(3), "one");
  EXPECT_EQ(in.seek(-5, 2), 8);
  EXPECT_EQ(in.read(), "three");
  EXPECT_EQ(in.read(), "");
  EXPECT_EQ(in.seek(4), 4);
  EXPECT_EQ(in.read(4), "two ");
  in.close();
  file::File more(path("f"), "ab");
  more.write("!");
  more.close();
  EXPECT_EQ(file::read(path("f")), "one two three!");
  EXPECT_THROW(file::File(path("none"), "rb"), file::MoxFileNotExistsException);
}

TEST_P(FileSystemConformance, CopyAndSyncOfFolders) {
  for (const char* name : {"from/a", "from/d/b", "from/d/e/c"}) put(name, std::string("of ") + name);
  file::make_dirs(path("from/empty"));
  EXPECT_EQ(file::copy_parallel(path("from"), path("to")).files, 3);
  EXPECT_EQ(file::list_directory(path("to"), {.recursive = true}), (Names{"a", "d", "d/b", "d/e", "d/e/c", "empty"}));
  EXPECT_EQ(file::read(path("to/d/e/c")), "of from/d/e/c");
  EXPECT_EQ(file::sync(path("from"), path("to")).files, 0);
  file::write(path("from/a"), "OF from/a");  // as long as before
  file::write(path("to/extra"), "x");
  const file::CopySummary summary = file::sync(path("from"), path("to"), {.delete_extra = true});
  EXPECT_EQ(summary.files, 1);
  EXPECT_EQ(summary.deleted, 1);
  EXPECT_EQ(file::read(path("to/a")), "OF from/a");
  EXPECT_FALSE(file::exists(path("to/extra")));
}

}  // namespace mox::testing
