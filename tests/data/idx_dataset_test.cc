// MNIST's files: what is read, in which order, and what is said about broken ones.
#include <zlib.h>

#include <chrono>
#include <filesystem>
#include <numeric>
#include <set>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

using ::testing::Test;

constexpr char kFashionDir[] = "/usr/share/datasets/fashion-mnist";

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// `count` images; image i has the value i % 251 everywhere and the label i % 10.
std::string idx_images(uint32_t count) {
  std::string content = big_endian(0x803) + big_endian(count) + big_endian(28) + big_endian(28);
  for (uint32_t i = 0; i < count; ++i) content.append(28 * 28, static_cast<char>(i % 251));
  return content;
}

std::string idx_labels(uint32_t count) {
  std::string content = big_endian(0x801) + big_endian(count);
  for (uint32_t i = 0; i < count; ++i) content.push_back(static_cast<char>(i % 10));
  return content;
}

std::string gzip(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

class IdxDatasetTest : public Test {
 protected:
  void write_train(uint32_t images, uint32_t labels) {
    dir_.write("train-images-idx3-ubyte", idx_images(images));
    dir_.write("train-labels-idx1-ubyte", idx_labels(labels));
  }
  // The first pixel of each sample, in the order of delivery.
  std::vector<int> pixels(const DatasetOptions& options, const std::string& split = "train") {
    auto scope = Scope::new_root();
    auto out = get_dataset("mnist", split, dir_.path(), options)->get(scope, {"image", "label"});
    PipelineRunner runner(scope, out);
    std::vector<int> result;
    while (runner.next() && result.size() < 10000) {
      const int64_t rows = options.batch_size > 0 ? runner[0].dim_size(0) : 1;
      const auto image = runner[0].flat<uint8_t>();
      const auto label = runner[1].flat<int64_t>();
      for (int64_t i = 0; i < rows; ++i) {
        result.push_back(image(i * 784));
        EXPECT_EQ(label(i), image(i * 784 + 783) % 10);
      }
    }
    return result;
  }
  std::string error(const std::string& split = "train") {
    return message_of<Error>([&] { get_dataset("mnist", split, dir_.path()); });
  }

  TempDir dir_;
};

std::vector<int> count_up(int n) {
  std::vector<int> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST_F(IdxDatasetTest, DeliversSamplesWithShapes) {
  write_train(20, 20);
  auto scope = Scope::new_root();
  auto out =
      get_dataset("mnist", "train", dir_.path(), {.shuffle = false, .num_epochs = 1})->get(scope, {"image", "label"});
  EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{28, 28, 1}));
  EXPECT_EQ(static_shape(scope, out[1]), (std::vector<int64_t>{}));
  EXPECT_EQ(out[0].type(), tensorflow::DT_UINT8);
  EXPECT_EQ(out[1].type(), tensorflow::DT_INT64);
  EXPECT_EQ(pixels({.shuffle = false, .num_epochs = 1}), count_up(20));
}

TEST_F(IdxDatasetTest, ReadsPackedFiles) {
  dir_.write("t10k-images-idx3-ubyte.gz", gzip(idx_images(7)));
  dir_.write("t10k-labels-idx1-ubyte.gz", gzip(idx_labels(7)));
  EXPECT_EQ(pixels({.num_epochs = 1}, "test"), count_up(7));  // test is not shuffled by default
}

TEST_F(IdxDatasetTest, ShufflesWholeEpochsBySeed) {
  write_train(200, 200);
  const auto once = pixels({.num_epochs = 2, .seed = 3});
  ASSERT_EQ(once.size(), 400u);
  std::vector<int> first(once.begin(), once.begin() + 200), second(once.begin() + 200, once.end());
  EXPECT_NE(first, second);
  EXPECT_EQ(pixels({.num_epochs = 2, .seed = 3}), once);
  EXPECT_NE(pixels({.num_epochs = 2, .seed = 4}), once);
  // Far moves happen: a shuffle of a small window would not bring the last quarter to the front.
  EXPECT_TRUE(std::any_of(first.begin(), first.begin() + 20, [](int p) { return p >= 150; }));
  for (auto* epoch : {&first, &second}) {
    std::sort(epoch->begin(), epoch->end());
    EXPECT_EQ(*epoch, count_up(200));
  }
}

TEST_F(IdxDatasetTest, BatchesAndTheLastOne) {
  write_train(20, 20);
  auto sizes = [&](bool drop) {
    auto scope = Scope::new_root();
    auto out = get_dataset("mnist", "train", dir_.path(),
                           {.shuffle = false, .num_epochs = 1, .batch_size = 8, .drop_remainder = drop})
                   ->get(scope, {"image"});
    EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{drop ? 8 : -1, 28, 28, 1}));
    PipelineRunner runner(scope, out);
    std::vector<int64_t> result;
    while (runner.next()) result.push_back(runner[0].dim_size(0));
    return result;
  };
  EXPECT_EQ(sizes(false), (std::vector<int64_t>{8, 8, 4}));
  EXPECT_EQ(sizes(true), (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(pixels({.shuffle = false, .num_epochs = 1, .batch_size = 8}), count_up(20));
}

TEST_F(IdxDatasetTest, ShardsAreDisjointAndComplete) {
  write_train(50, 50);
  std::multiset<int> seen;
  for (int64_t shard = 0; shard < 3; ++shard)
    for (int pixel : pixels({.num_epochs = 1, .shard_index = shard, .num_shards = 3})) seen.insert(pixel);
  const auto all = count_up(50);
  EXPECT_EQ(seen, std::multiset<int>(all.begin(), all.end()));
}

TEST_F(IdxDatasetTest, RunsForeverByDefault) {
  write_train(3, 3);
  EXPECT_EQ(pixels({}).size(), 10000u);
}

TEST_F(IdxDatasetTest, DataStaysOutOfTheGraph) {
  write_train(200, 200);
  auto scope = Scope::new_root();
  auto out = get_dataset("mnist", "train", dir_.path())->get(scope, {"image", "label"});
  EXPECT_LT(PipelineRunner(scope, out).graph_bytes(), 20000u);
  EXPECT_EQ(scope.state().text_collections["class_names"].size(), 10u);
  EXPECT_EQ(scope.state().text_collections["num_samples"], std::vector<std::string>{"200"});
}

TEST_F(IdxDatasetTest, NamesWhatIsMissing) {
  EXPECT_EQ(message_of<NotFoundError>([&] { get_dataset("mnist", "train", dir_.path()); }),
            "data set folder " + dir_.path() + " has neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
  EXPECT_EQ(message_of<InvalidArgumentError>([] { get_dataset_meta("mnits"); }).substr(0, 70),
            "there is no built-in data set 'mnits'; there are: mnist, fashion_mnist");
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { get_dataset("mnist", "validation", dir_.path()); }),
            "data set mnist has no split 'validation'; it has: train, test");
  write_train(5, 5);
  auto scope = Scope::new_root();
  EXPECT_EQ(message_of<InvalidArgumentError>([&] {
              get_dataset("mnist", "train", dir_.path())->get(scope, {"image", "lable"});
            }),
            "the data set has no 'lable'; it has: image, label");
}

TEST_F(IdxDatasetTest, NamesWhatIsBroken) {
  const std::string images = dir_.path("train-images-idx3-ubyte");
  write_train(5, 5);
  dir_.write("train-images-idx3-ubyte", idx_labels(5) + "padding!");
  EXPECT_EQ(error(), "data file " + images +
                         " is broken at byte 0: magic number 2049, expected 2051 (idx, unsigned bytes, 3 dimensions)");
  dir_.write("train-images-idx3-ubyte", idx_images(5).substr(0, 1000));
  EXPECT_EQ(error(), "data file " + images +
                         " is broken at byte 1000: there are 984 bytes after the header, expected 3920 by its sizes");
  dir_.write("train-images-idx3-ubyte", "\0\0");
  EXPECT_NE(error().find("ends inside the header"), std::string::npos);
  dir_.write("train-images-idx3-ubyte", "");
  EXPECT_NE(error().find("broken at byte 0"), std::string::npos);
  write_train(5, 6);
  EXPECT_EQ(error(), "data files do not belong together: " + images + " has 5 images (byte 4), " +
                         dir_.path("train-labels-idx1-ubyte") + " has 6 labels (byte 4)");
  std::string labels = idx_labels(5);
  labels[8 + 3] = 10;
  write_train(5, 5);
  dir_.write("train-labels-idx1-ubyte", labels);
  EXPECT_EQ(error(),
            "data file " + dir_.path("train-labels-idx1-ubyte") + " is broken at byte 11: label 10, expected 0 to 9");
}

TEST_F(IdxDatasetTest, NamesTruncatedAndDamagedGzip) {
  const std::string packed = gzip(idx_images(5));
  dir_.write("train-labels-idx1-ubyte", idx_labels(5));
  const std::string path = dir_.write("train-images-idx3-ubyte.gz", packed.substr(0, packed.size() / 2));
  EXPECT_EQ(error(), "data file " + path + " is damaged at byte " + std::to_string(packed.size() / 2) + " of " +
                         std::to_string(packed.size() / 2) + ": the gzip stream ends too early; fetch it again");
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // the checksum
  dir_.write("train-images-idx3-ubyte.gz", damaged);
  EXPECT_NE(error().find("not a valid gzip stream"), std::string::npos);
}

TEST(FashionMnistTest, RealFilesAtFullSpeed) {
  if (!std::filesystem::exists(kFashionDir)) GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  auto scope = Scope::new_root();
  auto dataset =
      get_dataset("fashion_mnist", "train", kFashionDir, {.capacity = 4096, .num_epochs = 5, .batch_size = 128});
  EXPECT_EQ(dataset->num_samples(), get_dataset_meta("fashion_mnist").split_size("train"));
  PipelineRunner runner(scope, dataset->get(scope, {"image", "label"}));
  std::vector<int64_t> per_class(10);
  int64_t rows = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (runner.next()) {
    rows += runner[1].dim_size(0);
    const auto labels = runner[1].vec<int64_t>();
    for (int64_t i = 0; i < labels.size(); ++i) ++per_class[labels(i)];
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(rows, 300000);
  EXPECT_EQ(per_class, std::vector<int64_t>(10, 30000));
  RecordProperty("rows_per_second", static_cast<int>(rows / seconds));
  std::printf("%.0f rows/s\n", rows / seconds);
}

}  // namespace
}  // namespace mox::test
