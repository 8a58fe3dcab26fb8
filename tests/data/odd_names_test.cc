// Folders and classes whose names look like patterns, paths or lists: they are names.
#include <filesystem>

#include "data/tfrecord_fixture.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
namespace tf = tensorflow;

class OddNamesTest : public TFRecordTest {
 protected:
  // What a pattern of that name would match beside it.
  OddNamesTest() {
    for (const char* sibling : {"b1/x/1.jpg", "b1c/x/1.jpg", "bc/x/1.jpg"}) root_.write(sibling, image_);
  }
  std::string odd(const std::string& name) const { return root_.path("b[1]c*?\\" + name); }
  TempDir root_;
};

TEST_F(OddNamesTest, FoldersOfEveryStep) {
  for (int i = 0; i < 6; ++i)
    root_.write("b[1]c*?\\src/" + std::to_string(i % 2) + "/" + std::to_string(i) + ".jpg", image_);
  EXPECT_EQ(dataset_stat(odd("src")).samples, 6);
  EXPECT_EQ(folders_to_tfrecord(odd("src"), odd("records")).samples, 6);
  EXPECT_EQ(dataset_stat(odd("records")).samples, 6);
  EXPECT_EQ(BaseTFRecordMetadata(odd("records"), {"train-*"}).num_samples(), 6);
  ConvertOptions overwrite;
  overwrite.num_shards = 2;
  overwrite.overwrite = true;
  folders_to_tfrecord(odd("src"), odd("records"), overwrite);
  EXPECT_EQ(BaseTFRecordMetadata(odd("records"), {"*"}).files().size(), 3u);  // with labels.txt: the old file is gone
  EXPECT_EQ(tfrecord_to_folders(odd("records"), "*.tfrecord", odd("back")).samples, 6);
  EXPECT_EQ(split_image_classification_dataset({{"p[1]*", 0.5}}, odd("back"), odd("split")).at("p[1]*"), 4);
  EXPECT_EQ(ImageClassificationRawMetadata(odd("split/p[1]*")).total_num_samples(), 4);
  split_image_classification_dataset({{"p[1]*", 0.5}}, odd("back"), odd("split"), true);
  PreviewOptions preview;
  preview.model_name = "lenet";
  preview.data_url = odd("records");
  preview.output_url = odd("grid.png");
  preview_dataset(preview);
  EXPECT_TRUE(fs::exists(odd("grid.png")));
  for (const char* sibling : {"b1/x/1.jpg", "b1c/x/1.jpg", "bc/x/1.jpg"}) EXPECT_TRUE(fs::exists(root_.path(sibling)));
}

// The folder part of a file_pattern is no pattern; its names are.
TEST_F(OddNamesTest, PatternsBelowTheFolder) {
  for (const char* name : {"b[1]*/a.tfrecord", "b[1]*/b.tfrecord", "b1/a.tfrecord", "b[1]*/x.txt"})
    write_records(root_.write(name, ""), {image_record(image_, 0)});
  const auto files = [&](const std::vector<std::string>& patterns) {
    std::vector<std::string> names;
    const BaseTFRecordMetadata metadata(root_.path(), patterns);
    for (const auto& file : metadata.files()) names.push_back(file.name);
    return names;
  };
  EXPECT_EQ(files({"b[1]*/*.tfrecord"}), (std::vector<std::string>{"b[1]*/a.tfrecord", "b[1]*/b.tfrecord"}));
  EXPECT_EQ(files({"b1/*", "b[1]*/a*", "b[1]*/[a-b].*"}),
            (std::vector<std::string>{"b1/a.tfrecord", "b[1]*/a.tfrecord", "b[1]*/b.tfrecord"}));
  EXPECT_NE(message_of<NotFoundError>([&] { files({"b*/a.tfrecord"}); }).find("does not exist"), std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([&] { files({root_.path("b1/*")}); }).find("names a place of its own"),
            std::string::npos);
}

TEST_F(OddNamesTest, ClassesKeepTheirNames) {
  const std::vector<std::string> names = {
      " lead",     "trail ",     "tab\t",  "a\nb",           "\r",          "#x",     "1: two",  "a: b",    "a, b",
      "0: x 1: y", "\"quoted\"", "\" x\"", "\"\\\" x\\\"\"", "back\\slash", "b[1]*?", "caf\xe9", "\x1b[31m"};
  const auto round = [&](const std::vector<std::string>& classes) {
    TempDir src, records, back;
    for (const auto& name : classes) src.write(name + "/1.jpg", image_);
    auto sorted = classes;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(folders_to_tfrecord(src.path(), records.path()).samples, static_cast<int64_t>(classes.size()));
    EXPECT_EQ(ImageClassificationTFRecordMetadata(records.path(), {"*.tfrecord"}).labels_list(), sorted);
    tfrecord_to_folders(records.path(), "*.tfrecord", back.path());
    EXPECT_EQ(ImageClassificationRawMetadata(back.path()).labels_list(), sorted);  // its labels.txt agrees
    split_image_classification_dataset({{"all", 1}}, back.path(), back.path() + "_split");
    EXPECT_EQ(ImageClassificationRawMetadata(back.path() + "_split/all").labels_list(), sorted);
    fs::remove_all(back.path() + "_split");
    // Without labels.txt the records say it themselves.
    fs::remove(records.path("labels.txt"));
    TempDir again;
    tfrecord_to_folders(records.path(), "*.tfrecord", again.path());
    EXPECT_EQ(ImageClassificationRawMetadata(again.path()).labels_list(), sorted);
    return read_file(back.path("labels.txt"));
  };
  round(names);
  for (const auto& name : names) round({name});
  EXPECT_EQ(round({"cat", "a: b", "big dog"}), "0: a: b\n1: big dog\n2: cat\n");  // plain names as they always were
  EXPECT_EQ(round({" x", "y\n"}), "0: \" x\"\n1: \"y\\x0a\"\n");
}

// What data sets would leave out, or what would land in another folder, is told instead of written.
TEST_F(OddNamesTest, RecordsThatCannotBeFolders) {
  for (const std::string& name :
       {std::string(".hidden"), std::string("a\0b", 3), std::string(".."), std::string("a/b")}) {
    tf::Example example;
    ASSERT_TRUE(example.ParseFromString(image_record(image_, 0)));
    (*example.mutable_features()->mutable_feature())["image/class/text"].mutable_bytes_list()->add_value(name);
    TempDir records, back;
    write_records(records.path("a.tfrecord"), {example.SerializeAsString()});
    EXPECT_NE(message_of<DataError>([&] {
                tfrecord_to_folders(records.path(), "*.tfrecord", back.path());
              }).find("cannot be the name of a folder or file"),
              std::string::npos)
        << name;
    EXPECT_TRUE(fs::is_empty(back.path()));
  }
}

// Overwriting a part removes it: never a folder that no split makes.
TEST_F(OddNamesTest, PartsThatAreNoFoldersOfTheirOwn) {
  TempDir src;
  src.write("x/1.jpg", image_);
  root_.write("dst/keep", "");
  for (const char* part : {".", "..", "../b1", "/", ""})
    EXPECT_NE(message_of<InvalidArgumentError>([&] {
                split_image_classification_dataset({{part, 1}}, src.path(), root_.path("dst"), true);
              }).find("expected the name of a folder"),
              std::string::npos);
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              split_image_classification_dataset({{"a", 0.5}, {"a", 0.5}}, src.path(), root_.path("dst"), true);
            }).find("the part a is there twice"),
            std::string::npos);
  ConvertOptions options;
  options.prefix = "../b1/train";
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              folders_to_tfrecord(src.path(), root_.path("dst"), options);
            }).find("prefix is '../b1/train'"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(root_.path("dst/keep")));
  EXPECT_TRUE(fs::exists(root_.path("b1/x/1.jpg")));
}

}  // namespace
}  // namespace mox::test
