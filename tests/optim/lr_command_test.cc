// `mox lr` as users call it.
#include <sys/wait.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json_text.h"
#include "optim/graph_run.h"
#include "run/toy_model.h"
#include "tensorflow/cc/ops/image_ops.h"

namespace mox {
namespace {

using namespace mox::testing;

constexpr char kStrategy[] = "'5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08'";

struct CommandResult {
  int code;
  std::string output, errors;
};

CommandResult mox_lr(const std::string& args) {
  TempDir dir;
  const std::string command = "env -u TF_CPP_MIN_LOG_LEVEL " + std::string(MOX_PROGRAM) + " lr " + args + " >" +
                              dir.path("out") + " 2>" + dir.path("err");
  const int status = std::system(command.c_str());
  const auto content = [&](const char* name) {
    std::stringstream text;
    text << std::ifstream(dir.path(name)).rdbuf();
    return text.str();
  };
  return {WEXITSTATUS(status), content("out"), content("err")};
}

TEST(LrCommand, PrintsATable) {
  const CommandResult result = mox_lr(std::string(kStrategy) + " --num_samples=95 --batch_size=10");
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_NE(result.output.find("95 samples in batches of 10: 10 steps an epoch"), std::string::npos);
  EXPECT_NE(result.output.find("         5          50  0.4\n"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("        20         200  0.08  (and after)\n"), std::string::npos) << result.output;
}

TEST(LrCommand, PrintsJson) {
  const CommandResult result = mox_lr("'10:0.01,20:0.001' --json");
  const auto data = parse_json(result.output);
  ASSERT_EQ(data["points"].size(), 3u);
  EXPECT_EQ(data["points"][1]["epoch"], 10);
  EXPECT_EQ(data["points"][1]["learning_rate"], 0.001);
}

TEST(LrCommand, DrawsTheCurve) {
  TempDir dir;
  const std::string path = dir.path("lr.png");
  const CommandResult result =
      mox_lr("'10:0.5,20:1' --num_samples=95 --batch_size=10 --width=800 --height=400 --output_url=" + path);
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.errors, "") << "TensorFlow's notes are not for users";
  Scope scope = Scope::new_root();
  const Output decoded = ops::DecodePng(scope, ops::ReadFile(scope, path), ops::DecodePng::Channels(3));
  const tensorflow::Tensor image = GraphRun(scope).fetch({decoded})[0];
  ASSERT_EQ(image.shape(), tensorflow::TensorShape({400, 800, 3}));
  const auto pixel = image.tensor<uint8_t, 3>();
  // Blue at the height of 0.5 over epoch 5, at that of 1 over epoch 15, and nowhere else in those columns.
  const auto blue_rows = [&](int x) {
    std::vector<int> rows;
    for (int y = 60; y < 310; ++y)
      if (pixel(y, x, 2) > pixel(y, x, 0) + 100) rows.push_back(y);
    return rows;
  };
  const auto x_of = [](double epoch) { return static_cast<int>(150 + epoch / 21 * (800 - 150 - 30)); };
  const auto y_of = [](double rate) { return 60 + (1 - rate / 1.05) * (400 - 60 - 90); };
  for (const auto& [epoch, rate] : {std::pair(5.0, 0.5), std::pair(15.0, 1.0)}) {
    const auto rows = blue_rows(x_of(epoch));
    ASSERT_FALSE(rows.empty());
    EXPECT_LE(rows.size(), 4u);
    EXPECT_NEAR(rows[rows.size() / 2], y_of(rate), 2);
  }
  // The labels of the axes are there: dark dots left of and below the plot.
  int dark = 0;
  for (int y = 60; y < 400; ++y)
    for (int x = 0; x < 140; ++x) dark += pixel(y, x, 0) < 120;
  EXPECT_GT(dark, 300);
}

TEST(LrCommand, PointsAtWhatIsWrong) {
  const CommandResult result = mox_lr("'5:0.1->0.4,10:x'");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.errors.find("\n  5:0.1->0.4,10:x\n                ^\n"), std::string::npos) << result.errors;
  EXPECT_EQ(mox_lr("'5:0.1' --num_samples=10").code, 2);
  EXPECT_EQ(mox_lr("").code, 2);
}

}  // namespace
}  // namespace mox
