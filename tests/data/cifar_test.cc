#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

// A record whose planes are red = label, green = 100, blue = 200, but for the pixel in row 1, column 2.
std::string record(int label) {
  std::string bytes(1, static_cast<char>(label));
  for (int plane : {label, 100, 200}) bytes.append(1024, static_cast<char>(plane));
  bytes[1 + 1 * 32 + 2] = 77;
  return bytes;
}

TEST(Cifar10Test, ReadsPlanesAsPixels) {
  TempDir dir;
  for (int i = 1; i <= 5; ++i)
    dir.write("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", record(i) + record(i + 4));
  auto scope = Scope::new_root();
  auto dataset = get_dataset("cifar10", "train", dir.path(), {.shuffle = false, .num_epochs = 1});
  EXPECT_EQ(dataset->num_samples(), 10);
  EXPECT_EQ(dataset->class_names()[9], "truck");
  auto out = dataset->get(scope, {"label", "image"});
  EXPECT_EQ(static_shape(scope, out[1]), (std::vector<int64_t>{32, 32, 3}));
  PipelineRunner runner(scope, out);
  std::vector<int64_t> labels;
  while (runner.next()) {
    labels.push_back(runner[0].scalar<int64_t>()());
    const auto image = runner[1].tensor<uint8_t, 3>();
    EXPECT_EQ(image(0, 0, 0), labels.back());
    EXPECT_EQ(image(31, 31, 1), 100);
    EXPECT_EQ(image(5, 6, 2), 200);
    EXPECT_EQ(image(1, 2, 0), 77);
  }
  EXPECT_EQ(labels, (std::vector<int64_t>{1, 5, 2, 6, 3, 7, 4, 8, 5, 9}));
}

TEST(Cifar10Test, NamesWhatIsBroken) {
  TempDir dir;
  EXPECT_NE(
      message_of<NotFoundError>([&] { get_dataset("cifar10", "test", dir.path()); }).find("has no test_batch.bin"),
      std::string::npos);
  const std::string path = dir.write("test_batch.bin", record(3) + record(4).substr(0, 1000));
  EXPECT_EQ(message_of<DataError>([&] { get_dataset("cifar10", "test", dir.path()); }),
            "data file " + path + " is broken at byte 3073: its size, 4073, is not a multiple of a record's, 3073");
  dir.write("test_batch.bin", record(3) + record(10));
  EXPECT_EQ(message_of<DataError>([&] { get_dataset("cifar10", "test", dir.path()); }),
            "data file " + path + " is broken at byte 3073: label 10, expected 0 to 9");
}

}  // namespace
}  // namespace mox::test
