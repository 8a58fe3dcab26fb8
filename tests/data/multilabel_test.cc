#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;

class MultilabelTest : public ::testing::Test {
 protected:
  MultilabelTest() {
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (const char* name : {"0.jpg", "1.jpg", "2.jpg"}) dir_.write(std::string("images/") + name, image);
    dir_.write("labels/0.jpg.txt", "dog\ncat\n");
    dir_.write("labels/1.jpg.txt", "bird");
    dir_.write("labels/2.jpg.txt", "");
  }
  std::vector<std::vector<float>> labels(MultilabelDatasetOptions options) {
    options.num_epochs = 1;
    options.shuffle = false;
    auto scope = Scope::new_root();
    MultilabelClassificationRawDataset dataset(MultilabelClassificationRawMetadata(dir_.path()), options);
    PipelineRunner runner(scope, dataset.get(scope, {"image", "label"}));
    std::vector<std::vector<float>> rows;
    while (runner.next()) {
      const auto row = runner[1].vec<float>();
      rows.emplace_back(row.data(), row.data() + row.size());
    }
    return rows;
  }
  TempDir dir_;
};

using Rows = std::vector<std::vector<float>>;

TEST_F(MultilabelTest, ClassesAreFoundInTheLabelFiles) {
  MultilabelClassificationRawMetadata metadata(dir_.path());
  EXPECT_EQ(metadata.labels_list(), (std::vector<std::string>{"bird", "cat", "dog"}));
  EXPECT_EQ(metadata.total_num_samples(), 3);
  EXPECT_EQ(labels({}), (Rows{{0, 1, 1}, {1, 0, 0}, {0, 0, 0}}));
}

TEST_F(MultilabelTest, LabelsFileAndSeparator) {
  dir_.write("labels.txt", "0: cat 1: dog 2: bird 3: snail");
  dir_.write("labels/0.jpg.txt", "dog,cat");
  MultilabelDatasetOptions options;
  options.label_sep = ",";
  EXPECT_EQ(labels(options), (Rows{{1, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}}));
}

// The manual's label file, `label_i label_j`, with the default label_sep.
TEST_F(MultilabelTest, NamesInOneLine) {
  dir_.write("labels/0.jpg.txt", "dog cat");
  dir_.write("labels/2.jpg.txt", "bird\tdog  cat \r\n");
  EXPECT_EQ(labels({}), (Rows{{0, 1, 1}, {1, 0, 0}, {1, 1, 1}}));
  dir_.write("labels.txt", "big dog\ndog\nbird\ncat");
  dir_.write("labels/0.jpg.txt", "big dog");  // a class's whole name comes first
  EXPECT_EQ(labels({})[0], (std::vector<float>{1, 0, 0, 0}));
}

TEST_F(MultilabelTest, ClassesThatNoImageHasAreNamed) {
  std::string log;
  set_log_sink([&](LogLevel, std::string_view line) { log += std::string(line) + "\n"; });
  dir_.write("labels.txt", "0: cat 1: dog 2: bird 3: snail");
  labels({});
  set_log_sink(nullptr);
  EXPECT_NE(log.find("no image has the label snail"), std::string::npos) << log;
}

TEST_F(MultilabelTest, MissingLabelFile) {
  std::remove(dir_.path("labels/1.jpg.txt").c_str());
  EXPECT_EQ(message_of<NotFoundError>([&] { labels({}); }), "image " + dir_.path("images/1.jpg") +
                                                                " has no label file " + dir_.path("labels/1.jpg.txt") +
                                                                "; set skip_label_not_found to leave such images out");
  MultilabelDatasetOptions options;
  options.skip_label_not_found = true;
  EXPECT_EQ(labels(options), (Rows{{1, 1}, {0, 0}}));
}

TEST_F(MultilabelTest, Stat) {
  dir_.write("images/3.jpg", "no image");
  dir_.write("labels/3.jpg.txt", "cat");
  dir_.write("images/4.jpg", read_file(dir_.path("images/0.jpg")));
  const DatasetStat stat = dataset_stat(dir_.path());
  EXPECT_EQ(stat.samples, 3);
  ASSERT_EQ(stat.classes.size(), 3u);
  EXPECT_EQ(stat.classes[2].name, "dog");
  EXPECT_EQ(stat.classes[0].count + stat.classes[1].count + stat.classes[2].count, 3);  // one image has two, one none
  ASSERT_EQ(stat.broken.size(), 2u);
  EXPECT_EQ(stat.broken[0].path, dir_.path("images/3.jpg"));
  EXPECT_EQ(stat.broken[1].reason, "no label file " + dir_.path("labels/4.jpg.txt"));
}

// No label at all: 0 classes, and rows without values, which TensorFlow's unbatch ends the process on.
TEST_F(MultilabelTest, NoLabels) {
  const std::string begin = "data folder " + dir_.path() + " has no labels: ",
                    end = "; expected those of images/0.jpg in ";
  const auto message = [&](const MultilabelMetadataOptions& options) {
    return message_of<DataError>([&] { MultilabelClassificationRawMetadata(dir_.path(), options); });
  };
  EXPECT_EQ(message({.labels_extension = "json"}), begin + "no file of " + dir_.path("labels") + " ends in '.json'" +
                                                       end + dir_.path("labels/0.jpg.json") + ", or all names in " +
                                                       dir_.path("labels.txt"));
  for (const char* name : {"labels/0.jpg.txt", "labels/1.jpg.txt"}) dir_.write(name, " \n\n");
  EXPECT_EQ(message({}), begin + "the 3 files of " + dir_.path("labels") + " that end in '.txt' name none" + end +
                             dir_.path("labels/0.jpg.txt") + ", or all names in " + dir_.path("labels.txt"));
  EXPECT_NE(message_of<DataError>([&] { dataset_stat(dir_.path()); }).find(begin), std::string::npos);
  dir_.write("labels.txt", "0: cat\n1: dog\n");  // the classes are known: images of none
  EXPECT_EQ(labels({}), (Rows{{0, 0}, {0, 0}, {0, 0}}));
}

TEST_F(MultilabelTest, UnknownLabel) {
  dir_.write("labels.txt", "dog\ncat\n");
  EXPECT_EQ(message_of<DataError>([&] { labels({}); }),
            "label file " + dir_.path("labels/1.jpg.txt") +
                " has 'bird', which is none of the 2 classes; check label_sep and the list of labels");
}

}  // namespace
}  // namespace mox::test
