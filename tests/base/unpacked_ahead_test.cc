// Files that are unpacked ahead: whole ones, once; of others nothing comes, so that who reads them tells what is wrong.
#include "base/unpacked_ahead.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

namespace mox {
namespace {

class UnpackedAhead : public ::testing::Test {
 protected:
  UnpackedAhead() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mox_ahead_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~UnpackedAhead() override { std::filesystem::remove_all(folder_); }

  static std::string packed(const std::string& content) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string result(deflateBound(&stream, content.size()) + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    return result;
  }

  std::string write(const std::string& content) const {
    std::string path = folder_ + "/file.gz";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  // What comes of a file; "(nothing)" where nothing does.
  std::string taken(const std::string& content) const {
    const std::string path = write(content);
    unpack_ahead(path);
    const auto bytes = take_unpacked(path);
    return bytes ? std::string(bytes->data.get(), bytes->size) : "(nothing)";
  }

  std::string folder_;
  const std::string content_ = std::string(100000, 'a') + "b";
};

TEST_F(UnpackedAhead, AWholeFileComesOnce) {
  EXPECT_EQ(taken(packed(content_)), content_);
  EXPECT_FALSE(take_unpacked(folder_ + "/file.gz"));
  EXPECT_EQ(taken(packed("again")), "again");
}

TEST_F(UnpackedAhead, OfBrokenFilesComesNothing) {
  const std::string whole = packed(content_);
  EXPECT_EQ(taken(whole.substr(0, whole.size() / 2)), "(nothing)");
  EXPECT_EQ(taken(whole.substr(0, whole.size() - 1)), "(nothing)");
  EXPECT_EQ(taken(whole + whole), "(nothing)");  // the reader knows what to do with it
  EXPECT_EQ(taken(whole + "x"), "(nothing)");
  EXPECT_EQ(taken("not packed at all"), "(nothing)");
  EXPECT_EQ(taken(""), "(nothing)");
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  EXPECT_EQ(taken(damaged), "(nothing)");
  std::string large = whole;
  large.replace(large.size() - 4, 4, "\xff\xff\xff\xff");  // asks for no such memory
  EXPECT_EQ(taken(large), "(nothing)");
}

TEST_F(UnpackedAhead, OthersAreNotThere) {
  unpack_ahead(folder_ + "/none.gz");
  EXPECT_FALSE(take_unpacked(folder_ + "/none.gz"));
  const std::string path = write(packed(content_));
  unpack_ahead(path);
  EXPECT_FALSE(take_unpacked(folder_ + "/other.gz"));
  EXPECT_TRUE(take_unpacked(path));
}

}  // namespace
}  // namespace mox
