// The photographs of OpenCV's documentation: real JPEG and PNG files, decoded as TensorFlow's own op decodes them.
#include <filesystem>
#include <set>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
namespace ops = tensorflow::ops;

constexpr char kPhotographs[] = "/usr/share/doc/opencv-doc";
constexpr int kImages = 120;

TEST(PhotographsTest, DecodeAsTensorFlowDoes) {
  if (!fs::exists(kPhotographs)) GTEST_SKIP() << "the package opencv-doc is not installed";
  TempDir dir;
  std::vector<fs::path> files;
  for (const auto& item : fs::recursive_directory_iterator(kPhotographs)) {
    const std::string extension = item.path().extension().string();
    if (item.is_regular_file() && (extension == ".jpg" || extension == ".png")) files.push_back(item.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_GT(files.size(), 500u);
  for (int i = 0; i < kImages; ++i) {
    const fs::path& file = files[i * files.size() / kImages];
    dir.write(
        std::string(file.extension() == ".png" ? "png/" : "jpeg/") + std::to_string(i) + file.extension().string(),
        read_file(file.string()));
  }
  RawDatasetOptions options;
  options.num_epochs = 1;
  options.seed = 1;
  auto scope = Scope::new_root();
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dir.path()), options);
  auto out = dataset.get(scope, {"image", "image_name"});
  const auto reference =
      ops::DecodeImage(scope, ops::ReadFile(scope, out[1]), ops::DecodeImage::Channels(3).ExpandAnimations(false));
  const tensorflow::Output same = ops::ReduceAll(scope, ops::Equal(scope, out[0], reference.image), {0, 1, 2});
  PipelineRunner runner(scope, {same, out[1]});
  std::set<std::string> seen;
  while (runner.next()) {
    const std::string name = runner[1].scalar<tensorflow::tstring>()();
    EXPECT_TRUE(runner[0].scalar<bool>()()) << name;
    seen.insert(name);
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kImages));
}

}  // namespace
}  // namespace mox::test
