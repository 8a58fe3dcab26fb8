// Folders and labels.txt to classes.
#include <filesystem>

#include "data/pipeline_runner.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "moxing/metadata.h"

namespace mox::test {
namespace {

using Names = std::vector<std::string>;

class RawMetadataTest : public ::testing::Test {
 protected:
  RawMetadataTest() {
    for (const char* name : {"rose/1.jpg", "rose/2.JPEG", "Tulip/a.png", "daisy/x.webp"}) dir_.write(name, "x");
  }
  Names labels() { return ImageClassificationRawMetadata(dir_.path()).labels_list(); }
  template <typename Exception>
  std::string error() {
    return message_of<Exception>([&] { labels(); });
  }
  TempDir dir_;
};

TEST_F(RawMetadataTest, FoldersInByteOrder) {
  ImageClassificationRawMetadata metadata(dir_.path());
  EXPECT_EQ(metadata.labels_list(), (Names{"Tulip", "daisy", "rose"}));
  EXPECT_EQ(metadata.num_classes(), 3);
  EXPECT_EQ(metadata.total_num_samples(), 4);
  EXPECT_EQ(metadata.names_to_labels().at("rose"), 2);
  EXPECT_EQ(metadata.labels_to_names().at(0), "Tulip");
  EXPECT_EQ(metadata.images()[0].name, "Tulip/a.png");
  EXPECT_EQ(metadata.images()[3].label, 2);
}

TEST_F(RawMetadataTest, LabelsFileInItsThreeForms) {
  for (const char* content : {"0: rose\n1: daisy\n2: Tulip\n", "0: rose 1: daisy 2: Tulip",
                              "0: rose, 1: daisy, 2: Tulip", "rose\ndaisy\nTulip\n",
                              "\xef\xbb\xbf"
                              "0:rose\r\n1:daisy\r\n2:Tulip\r\n\r\n",
                              "2: Tulip\n0: rose\n1: daisy"}) {
    dir_.write("labels.txt", content);
    EXPECT_EQ(labels(), (Names{"rose", "daisy", "Tulip"})) << content;
  }
}

TEST_F(RawMetadataTest, NamesWithBlanksAndNumbers) {
  TempDir dir;
  for (const char* name : {"golden retriever/1.jpg", "type 2: b/1.jpg"}) dir.write(name, "x");
  dir.write("labels.txt", "0: golden retriever\n1: type 2: b\n");
  EXPECT_EQ(ImageClassificationRawMetadata(dir.path()).labels_list(), (Names{"golden retriever", "type 2: b"}));
}

TEST_F(RawMetadataTest, LabelsFileThatDisagrees) {
  dir_.write("labels.txt", "0: rose\n1: daisy\n2: sunflower\n");
  EXPECT_EQ(error<InvalidArgumentError>(),
            "labels file " + dir_.path("labels.txt") + " does not agree with the folders of " + dir_.path() +
                ": the file lacks 'Tulip'; the file alone has 'sunflower'; correct the file, or remove it to take the "
                "names as they are found");
}

TEST_F(RawMetadataTest, BrokenLabelsFile) {
  const std::string begin = "labels file " + dir_.path("labels.txt");
  dir_.write("labels.txt", "0: rose\n2: daisy\n");
  EXPECT_EQ(error<DataError>(),
            begin + ", line 2: class 2 follows class 0; expected the numbers 0, 1, 2, … without a gap");
  dir_.write("labels.txt", "0: rose\n0: daisy\n");
  EXPECT_EQ(error<DataError>(), begin + ", line 2: class 0 is there twice");
  dir_.write("labels.txt", "0: rose\n1: rose\n");
  EXPECT_EQ(error<DataError>(), begin + ": the name 'rose' is there twice");
  dir_.write("labels.txt", "0: rose\ndaisy\n");
  EXPECT_EQ(error<DataError>(), begin + ", line 2: got 'daisy', expected `number: name`");
  dir_.write("labels.txt", "0: rose\n1:\n");
  EXPECT_EQ(error<DataError>(), begin + ", line 2: class 1 has no name");
  dir_.write("labels.txt", "\n \n");
  EXPECT_EQ(error<DataError>(), begin + " has no names in it");
}

TEST_F(RawMetadataTest, LeavesOutWhatIsNoImage) {
  std::string log;
  set_log_sink([&](LogLevel, std::string_view line) { log += std::string(line) + "\n"; });
  for (const char* name :
       {".git/config", "rose/.DS_Store", "rose/Thumbs.db", "rose/notes.txt", "rose/deep/3.jpg", "top.jpg"})
    dir_.write(name, "x");
  std::filesystem::create_directory_symlink(dir_.path(), dir_.path("rose/loop"));
  std::filesystem::create_directory_symlink("..", dir_.path("daisy/up"));
  std::filesystem::create_directory_symlink(".", dir_.path("self"));
  EXPECT_EQ(labels(), (Names{"Tulip", "daisy", "rose"}));
  log.clear();
  EXPECT_EQ(ImageClassificationRawMetadata(dir_.path()).total_num_samples(), 4);
  set_log_sink(nullptr);
  EXPECT_NE(log.find("6 entries are left out"), std::string::npos) << log;
  for (const char* named :
       {".git, top.jpg, rose/.DS_Store", "rose/Thumbs.db", "1 more", "loop links back", "up links back"})
    EXPECT_NE(log.find(named), std::string::npos) << named << "\n" << log;
}

TEST_F(RawMetadataTest, LinksInACircleAreNoClass) {
  std::filesystem::create_symlink("b", dir_.path("a"));
  std::filesystem::create_symlink("a", dir_.path("b"));
  EXPECT_EQ(labels(), (Names{"Tulip", "daisy", "rose"}));
}

TEST_F(RawMetadataTest, EmptyClassIsAClass) {
  std::filesystem::create_directory(dir_.path("orchid"));
  EXPECT_EQ(labels(), (Names{"Tulip", "daisy", "orchid", "rose"}));
}

TEST_F(RawMetadataTest, NothingThere) {
  EXPECT_EQ(message_of<NotFoundError>([&] { ImageClassificationRawMetadata(dir_.path("none")); }),
            "data folder " + dir_.path("none") + " does not exist, or is not a folder");
  TempDir empty;
  EXPECT_NE(message_of<DataError>([&] { ImageClassificationRawMetadata(empty.path()); }).find("no class folders"),
            std::string::npos);
  std::filesystem::create_directory(empty.path("rose"));
  EXPECT_NE(message_of<DataError>([&] { ImageClassificationRawMetadata(empty.path()); }).find("has no images"),
            std::string::npos);
}

TEST_F(RawMetadataTest, RedirectDirIsWhereImagesAreRead) {
  ImageClassificationRawMetadata metadata(dir_.path(), {.redirect_dir = "/elsewhere"});
  EXPECT_EQ(metadata.data_dir(), "/elsewhere");
  EXPECT_EQ(metadata.total_num_samples(), 4);
}

}  // namespace
}  // namespace mox::test
