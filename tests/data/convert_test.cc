// Split, folders to TFRecord and back, stat, preview.
#include <filesystem>
#include <set>

#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;

// Paths below `dir` -> content.
std::map<std::string, std::string> tree(const std::string& dir) {
  std::map<std::string, std::string> files;
  for (const auto& item : fs::recursive_directory_iterator(dir))
    if (item.is_regular_file()) files[fs::relative(item.path(), dir).string()] = read_file(item.path().string());
  return files;
}

class ConvertTest : public ::testing::Test {
 protected:
  ConvertTest() {
    set_log_sink([](LogLevel, std::string_view) {});
    // Every image is another one: the JPEG with a comment behind its end.
    image_ = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (int i = 0; i < 20; ++i)
      src_.write((i < 15 ? "many/" : "few/") + std::to_string(i) + ".jpg", image_ + std::to_string(i));
  }
  ~ConvertTest() override { set_log_sink(nullptr); }
  TempDir src_, dst_;
  std::string image_;
};

TEST_F(ConvertTest, SplitKeepsTheFractionsOfEachClass) {
  const auto counts = split_image_classification_dataset({{"train", 0.8}, {"eval", 0.2}}, src_.path(), dst_.path());
  EXPECT_EQ(counts.at("train"), 16);
  EXPECT_EQ(counts.at("eval"), 4);
  const ImageClassificationRawMetadata train(dst_.path("train")), eval(dst_.path("eval"));
  EXPECT_EQ(train.total_num_samples(), 16);
  EXPECT_EQ(eval.labels_list(), (std::vector<std::string>{"few", "many"}));
  std::set<std::string> seen;
  const auto original = tree(src_.path());
  for (const char* part : {"train", "eval"})
    for (const auto& [path, content] : tree(dst_.path(part)))
      if (path != "labels.txt") {
        EXPECT_TRUE(seen.insert(path).second) << path << " is in both";
        EXPECT_EQ(content, original.at(path));
      }
  EXPECT_EQ(seen.size(), 20u);
  const auto before = tree(dst_.path());
  EXPECT_EQ(message_of<InvalidArgumentError>([&] {
              split_image_classification_dataset({{"train", 0.8}}, src_.path(), dst_.path());
            }),
            "folder " + dst_.path("train") + " is there already; set overwrite to replace it");
  split_image_classification_dataset({{"train", 0.8}, {"eval", 0.2}}, src_.path(), dst_.path(), true);
  EXPECT_EQ(tree(dst_.path()), before);  // the same split each time
}

// Overwriting never removes the source, and nothing is removed for a source that is not there.
TEST_F(ConvertTest, SplitKeepsItsSource) {
  const auto before = tree(src_.path());
  const auto error = [&](const std::string& src, const std::string& dst, const std::string& part) {
    return message_of<InvalidArgumentError>([&] { split_image_classification_dataset({{part, 0.5}}, src, dst, true); });
  };
  const std::string parent = fs::path(src_.path()).parent_path(), name = fs::path(src_.path()).filename();
  EXPECT_NE(error(src_.path(), parent, name).find("lie in each other"), std::string::npos);
  EXPECT_NE(error(src_.path() + "/", src_.path() + "/../", name).find("lie in each other"), std::string::npos);
  EXPECT_NE(error(src_.path(), src_.path(), "train").find("lie in each other"), std::string::npos);
  fs::create_directory_symlink(src_.path(), dst_.path("link"));
  EXPECT_NE(error(src_.path(), dst_.path(), "link").find("lie in each other"), std::string::npos);
  EXPECT_EQ(tree(src_.path()), before);
  dst_.write("train/old/1.jpg", image_);
  message_of<NotFoundError>([&] {
    split_image_classification_dataset({{"train", 0.5}}, src_.path("none"), dst_.path(), true);
  });
  EXPECT_TRUE(fs::exists(dst_.path("train/old/1.jpg")));
}

TEST_F(ConvertTest, SplitSpecIsChecked) {
  const auto error = [&](const SplitSpec& spec) {
    return message_of<InvalidArgumentError>(
        [&] { split_image_classification_dataset(spec, src_.path(), dst_.path()); });
  };
  EXPECT_NE(error({}).find("split_spec is empty"), std::string::npos);
  EXPECT_NE(error({{"a", 0.8}, {"b", 0.3}}).find("add up to 1.1"), std::string::npos);
  EXPECT_NE(error({{"a", -1}}).find("expected more than 0"), std::string::npos);
  EXPECT_NE(error({{"../a", 0.5}}).find("expected the name of a folder"), std::string::npos);
}

TEST_F(ConvertTest, FoldersToTfrecordAndBack) {
  ConvertOptions options;
  options.num_shards = 3;
  const auto summary = folders_to_tfrecord(src_.path(), dst_.path(), options);
  EXPECT_EQ(summary.samples, 20);
  EXPECT_EQ(summary.files, 3);
  const ImageClassificationTFRecordMetadata metadata(dst_.path(), {"train-*"});
  EXPECT_EQ(metadata.num_samples(), 20);
  EXPECT_EQ(metadata.labels_list(), (std::vector<std::string>{"few", "many"}));
  EXPECT_EQ(metadata.files()[2].name, "train-00002-of-00003.tfrecord");
  TempDir back;
  EXPECT_EQ(tfrecord_to_folders(dst_.path(), "train-*", back.path()).samples, 20);
  auto restored = tree(back.path());
  EXPECT_EQ(restored.at("labels.txt"), "0: few\n1: many\n");
  restored.erase("labels.txt");
  EXPECT_EQ(restored, tree(src_.path()));
}

// Files of two conversions beside each other would be read as one data set.
TEST_F(ConvertTest, WhatIsThereIsNotMixedIn) {
  ConvertOptions options;
  options.num_shards = 3;
  folders_to_tfrecord(src_.path(), dst_.path(), options);
  options.num_shards = 2;
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { folders_to_tfrecord(src_.path(), dst_.path(), options); }),
            "folder " + dst_.path() +
                " has train-00000-of-00003.tfrecord already, and other files of this prefix; give another folder or "
                "prefix, or set overwrite to replace them");
  options.overwrite = true;
  folders_to_tfrecord(src_.path(), dst_.path(), options);
  EXPECT_EQ(tree(dst_.path()).size(), 3u);  // 2 shards and labels.txt: the old ones are gone
  options.overwrite = false;
  options.prefix = "eval";  // another part of the same classes
  EXPECT_EQ(folders_to_tfrecord(src_.path(), dst_.path(), options).files, 2);
  src_.write("third/1.jpg", image_);
  options.prefix = "more";
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              folders_to_tfrecord(src_.path(), dst_.path(), options);
            }).find("labels.txt has other classes"),
            std::string::npos);
  TempDir back;
  tfrecord_to_folders(dst_.path(), "train-*", back.path());
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              tfrecord_to_folders(dst_.path(), "train-*", back.path());
            }).find("is not empty"),
            std::string::npos);
  const auto before = tree(back.path());
  tfrecord_to_folders(dst_.path(), "train-*", back.path(), ConvertOptions{.overwrite = true});
  EXPECT_EQ(tree(back.path()), before);
}

TEST_F(ConvertTest, BrokenImagesStopOrAreLeftOut) {
  const std::string path = src_.write("few/bad.jpg", "text");
  EXPECT_NE(message_of<DataError>([&] { folders_to_tfrecord(src_.path(), dst_.path()); }).find("image " + path),
            std::string::npos);
  EXPECT_TRUE(tree(dst_.path()).empty());  // nothing half written
  ConvertOptions options;
  options.max_broken_samples = 1;
  EXPECT_EQ(folders_to_tfrecord(src_.path(), dst_.path(), options).broken, 1);
}

TEST_F(ConvertTest, RecordsCannotWriteElsewhere) {
  tensorflow::Example example;
  ASSERT_TRUE(example.ParseFromString(image_record(image_, 0)));
  (*example.mutable_features()->mutable_feature())["image/filename"].mutable_bytes_list()->add_value("../../out.jpg");
  write_records(src_.path("x.tfrecord"), {example.SerializeAsString()});
  EXPECT_NE(message_of<DataError>([&] {
              tfrecord_to_folders(src_.path(), "x.tfrecord", dst_.path());
            }).find("cannot be the name of a folder or file"),
            std::string::npos);
}

TEST_F(ConvertTest, Stat) {
  src_.write("few/b.png", read_file(std::string(MOX_TEST_IMAGES) + "/rgb.png"));
  const std::string empty = src_.write("many/empty.jpg", "");
  const DatasetStat stat = dataset_stat(src_.path());
  EXPECT_EQ(stat.samples, 21);
  ASSERT_EQ(stat.classes.size(), 2u);
  EXPECT_EQ(stat.classes[0].count, 6);
  EXPECT_EQ(stat.classes[1].count, 15);
  EXPECT_EQ(stat.formats.at("JPEG"), 20);
  EXPECT_EQ(stat.formats.at("PNG"), 1);
  EXPECT_EQ(stat.max_width, 24);
  ASSERT_EQ(stat.broken.size(), 1u);
  EXPECT_EQ(stat.broken[0].path, empty);
  EXPECT_EQ(stat.broken[0].reason, "the file is empty, expected an image");
  // The same of TFRecord files.
  ConvertOptions options;
  options.max_broken_samples = 1;
  folders_to_tfrecord(src_.path(), dst_.path(), options);
  const DatasetStat records = dataset_stat(dst_.path(), "train-*");
  EXPECT_EQ(records.samples, 21);
  EXPECT_EQ(records.classes[0].name, "few");
  EXPECT_EQ(records.classes[0].count, 6);
  EXPECT_EQ(records.bytes, stat.bytes);
  EXPECT_EQ(dataset_stat(dst_.path()).classes[0].count, 6);  // *.tfrecord is found without a pattern
  fs::rename(dst_.path("train-00000-of-00001.tfrecord"), dst_.path("train-00000-of-00001"));  // as are TF-slim's names
  EXPECT_EQ(dataset_stat(dst_.path()).samples, 21);
}

// What is broken in TFRecord files: path, offset and reason, each once.
TEST_F(ConvertTest, BrokenRecords) {
  folders_to_tfrecord(src_.path(), dst_.path());
  const std::string path = dst_.path("train-00000-of-00001.tfrecord");
  std::string bytes = read_file(path);
  bytes[100] ^= 1;
  bytes.resize(bytes.size() - 5);
  dst_.write("train-00000-of-00001.tfrecord", bytes);
  const auto stat = dataset_stat(dst_.path());
  EXPECT_EQ(stat.samples, 18);
  ASSERT_EQ(stat.broken.size(), 2u);
  EXPECT_EQ(stat.broken[0].path, path + ", record at byte 0");
  EXPECT_EQ(stat.broken[0].reason, "the checksum of the data does not fit");
  EXPECT_NE(stat.broken[1].reason.find("the file ends inside the record"), std::string::npos);
  TempDir back;
  EXPECT_NE(message_of<DataError>([&] {
              tfrecord_to_folders(dst_.path(), "train-*", back.path("none"));
            }).find(path + ", record at byte"),
            std::string::npos);
  PreviewOptions options;
  options.model_name = "lenet";
  options.data_url = dst_.path();
  options.output_url = back.path("grid.png");
  const std::string message = message_of<Error>([&] { preview_dataset(options); });
  EXPECT_NE(message.find(path + ", record at byte"), std::string::npos) << message;
  EXPECT_EQ(message.find("[["), std::string::npos) << message;
  ConvertOptions tolerant;
  tolerant.max_broken_samples = options.max_broken_samples = 2;
  EXPECT_EQ(tfrecord_to_folders(dst_.path(), "train-*", back.path("images"), tolerant).samples, 18);
  preview_dataset(options);
}

TEST_F(ConvertTest, PreviewShowsTheRecipe) {
  PreviewOptions options;
  options.model_name = "inception_v1";
  options.data_url = src_.path();
  options.rows = 2;
  options.columns = 3;
  options.image_size = 32;
  const auto drawn = [&](const std::string& name) {
    options.output_url = dst_.path(name);
    preview_dataset(options);
    return read_file(options.output_url);
  };
  const std::string plain = drawn("plain.png");
  EXPECT_EQ(drawn("again.png"), plain);
  options.augmentation.random_erasing = 1;
  const std::string erased = drawn("erased.png");
  EXPECT_NE(erased, plain);
  options.mix.mixup = 1;
  EXPECT_NE(drawn("mixed.png"), erased);
  options.mix = {.cutmix = 1};
  EXPECT_NE(drawn("pasted.png"), erased);
  options.run_mode = ModeKeys::EVAL;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { preview_dataset(options); }).find("run_mode TRAIN"),
            std::string::npos);
}

TEST_F(ConvertTest, PreviewDrawsAGrid) {
  PreviewOptions options;
  options.model_name = "inception_v1";
  options.data_url = src_.path();
  options.output_url = dst_.path("grid.png");
  options.rows = 2;
  options.columns = 3;
  options.image_size = 32;
  options.run_mode = ModeKeys::EVAL;
  preview_dataset(options);
  // 2 rows of 32 pixels, text and gap; 3 columns.
  dst_.write("c/grid.png", read_file(options.output_url));
  auto scope = Scope::new_root();
  RawDatasetOptions once;
  once.num_epochs = 1;
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dst_.path()), once);
  PipelineRunner runner(scope, dataset.get(scope, {"image"}));
  ASSERT_TRUE(runner.next());
  ASSERT_EQ(runner[0].shape(), tensorflow::TensorShape({2 * 48, 3 * 34, 3}));
  const auto pixels = runner[0].tensor<uint8_t, 3>();
  EXPECT_GT(pixels(4, 4, 0), pixels(4, 4, 2) + 100);    // the red quadrant
  EXPECT_GT(pixels(28, 4, 2), pixels(28, 4, 0) + 100);  // the blue one
  int white = 0;
  for (int y = 32; y < 46; ++y)
    for (int x = 0; x < 32; ++x) white += pixels(y, x, 0) == 255;
  EXPECT_GT(white, 20);  // the label
}

}  // namespace
}  // namespace mox::test
