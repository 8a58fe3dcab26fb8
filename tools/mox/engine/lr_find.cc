#include "engine/lr_find.h"

#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "engine/svg_chart.h"
#include "moxing/error.h"
#include "moxing/file.h"

namespace mox::cli {
namespace {

constexpr size_t kRows = 12;  // of the table that is printed

nlohmann::ordered_json json_of(const LrFindResult& result) {
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (const LrFindPoint& point : result.points)
    points.push_back({{"learning_rate", point.learning_rate}, {"loss", point.loss}, {"smoothed", point.smoothed}});
  nlohmann::ordered_json j = {{"suggestion", nullptr}, {"points", points}};
  if (result.suggestion > 0) j["suggestion"] = result.suggestion;
  return j;
}

std::string curve_of(const LrFindResult& result) {
  ChartLine each{"loss", {}}, smooth{"smoothed", {}};
  for (const LrFindPoint& point : result.points) {
    each.points.push_back({std::log10(point.learning_rate), point.loss});
    smooth.points.push_back({std::log10(point.learning_rate), point.smoothed});
  }
  return chart_file({"Loss over the learning rate", "log10 of the learning rate", {each, smooth}, 960, 540});
}

}  // namespace

void tell_lr_find(const LrFindResult& result, const std::string& dir, bool as_json) {
  if (result.points.empty()) throw RunError("lr_find: the loss was no number in the first step; look at the input");
  const nlohmann::ordered_json j = json_of(result);
  file::make_dirs(dir);
  file::write(dir + "/" + kLrFindFile, json_text(j) + "\n");
  file::write(dir + "/lr_find.svg", curve_of(result));
  if (as_json) {
    std::cout << json_text(j) << '\n' << std::flush;
    return;
  }
  fmt::print("{:>14}  {:>10}  {:>10}\n", "learning rate", "loss", "smoothed");
  const size_t every = (result.points.size() + kRows - 1) / kRows;
  for (size_t i = 0; i < result.points.size(); i += every)
    fmt::print("{:>14.3g}  {:>10.4g}  {:>10.4g}\n", result.points[i].learning_rate, result.points[i].loss,
               result.points[i].smoothed);
  if (result.suggestion > 0)
    fmt::print("suggestion: --learning_rate={:.2g}  (the curve is in {}/lr_find.svg)\n", result.suggestion, dir);
  else
    fmt::print("no suggestion: the loss fell nowhere; look at {}/lr_find.svg, and at the data\n", dir);
}

}  // namespace mox::cli
