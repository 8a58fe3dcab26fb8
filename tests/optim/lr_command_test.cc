// `mox lr` as users call it.
#include <sys/wait.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "base/json_text.h"
#include "moxing/file.h"
#include "run/toy_model.h"

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

// Where a tick with that text is drawn; nan when there is none. `axis`: 'x' or 'y'.
double tick_at(const std::string& svg, char axis, const std::string& text) {
  const std::regex tick("<text class=\"tick\" x=\"([0-9.]+)\" y=\"([0-9.]+)\" text-anchor=\"(middle|end)\">" + text +
                        "</text>");
  for (std::sregex_iterator i(svg.begin(), svg.end(), tick), none; i != none; ++i)
    if (((*i)[3] == "end") == (axis == 'y')) return std::stod((*i)[axis == 'x' ? 1 : 2]);
  return NAN;
}

// The height of the curve at each x where it has a point.
std::map<double, double> curve_of(const std::string& svg) {
  std::smatch path;
  std::map<double, double> points;
  if (!std::regex_search(svg, path, std::regex("<path class=\"line line0\" d=\"([^\"]*)\""))) return points;
  const std::string d = path[1];
  const std::regex point("[ML]([0-9.]+),([0-9.]+)");
  for (std::sregex_iterator i(d.begin(), d.end(), point), none; i != none; ++i)
    points.emplace(std::stod((*i)[1]), std::stod((*i)[2]));
  return points;
}

TEST(LrCommand, DrawsTheCurve) {
  TempDir dir;
  const std::string path = dir.path("lr.svg");
  const CommandResult result =
      mox_lr("'10:0.5,20:1' --num_samples=95 --batch_size=10 --width=800 --height=400 --output_url=" + path);
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.errors, "") << "TensorFlow's notes are not for users";
  const std::string svg = file::read(path);
  EXPECT_NE(svg.find("width=\"800\" height=\"400\""), std::string::npos);
  EXPECT_NE(svg.find(">10:0.5,20:1</text>"), std::string::npos) << "the title";
  EXPECT_NE(svg.find("epoch of 10 steps (95 samples in batches of 10)"), std::string::npos);
  const std::map<double, double> curve = curve_of(svg);
  ASSERT_FALSE(curve.empty());
  // 0.5 from the beginning, 1 until behind the last epoch; the text of a tick is 4 pixels lower than its line.
  EXPECT_NEAR(curve.begin()->first, tick_at(svg, 'x', "0"), 0.1);
  EXPECT_NEAR(curve.begin()->second + 4, tick_at(svg, 'y', "0.5"), 0.1);
  EXPECT_GT(curve.rbegin()->first, tick_at(svg, 'x', "20"));
  EXPECT_NEAR(curve.rbegin()->second + 4, tick_at(svg, 'y', "1"), 0.1);
}

TEST(LrCommand, DrawsPowersOfTen) {
  TempDir dir;
  const std::string path = dir.path("lr.svg");
  EXPECT_EQ(mox_lr("'10:1=>0.001,20:0.001->0' --log_scale --output_url=" + path).code, 0);
  const std::string svg = file::read(path);
  const double step = tick_at(svg, 'y', "0.1") - tick_at(svg, 'y', "1");
  EXPECT_GT(step, 5);
  EXPECT_NEAR(tick_at(svg, 'y', "0.01") - tick_at(svg, 'y', "0.1"), step, 0.2);
  EXPECT_NEAR(curve_of(svg).begin()->second + 4, tick_at(svg, 'y', "1"), 0.1);
  EXPECT_EQ(mox_lr("'10:0' --log_scale --output_url=" + path).code, 0) << "nothing above 0: a plain axis";
}

TEST(LrCommand, APictureOfAnotherKindIsRefused) {
  const CommandResult result = mox_lr("'10:0.5' --output_url=lr.png");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.errors.find("--output_url is lr.png, expected a name that ends with .svg"), std::string::npos);
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
