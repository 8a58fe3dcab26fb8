// mox lr: a learning rate strategy as a table or a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "command_line.h"
#include "engine/entry.h"
#include "engine/svg_chart.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/learning_rate_scheduler.h"

namespace mox::cli {

using learning_rate_scheduler::LrPiece;
using learning_rate_scheduler::parse_lr_strategy;
using learning_rate_scheduler::piecewise_lr_at;

namespace {

struct LrFlags {
  std::string strategy, output_url;
  int64_t num_samples = 0, batch_size = 0;
  int width = 960, height = 540;
  bool log_scale = false, json = false;
  int64_t steps_per_epoch = 0;  // 0: not known
};

// Where the curve is told: ends of pieces, and points within those that are not flat.
std::vector<double> telling_epochs(const std::vector<LrPiece>& pieces) {
  std::vector<double> epochs;
  for (const LrPiece& piece : pieces) {
    const int parts = piece.kind == LrPiece::kConstant ? 1 : 5;
    for (int i = 0; i < parts; ++i)
      epochs.push_back(piece.start_epoch + (piece.end_epoch - piece.start_epoch) * i / parts);
  }
  epochs.push_back(pieces.back().end_epoch);
  return epochs;
}

int64_t step_of(const LrFlags& flags, double epoch) { return std::llround(epoch * flags.steps_per_epoch); }

void print_table(const LrFlags& flags, const std::vector<LrPiece>& pieces) {
  if (flags.steps_per_epoch > 0)
    fmt::print("{} samples in batches of {}: {} steps an epoch\n", flags.num_samples, flags.batch_size,
               flags.steps_per_epoch);
  fmt::print("{:>10}{}  learning rate\n", "epoch", flags.steps_per_epoch > 0 ? fmt::format("{:>12}", "step") : "");
  for (double epoch : telling_epochs(pieces)) {
    const bool after = epoch == pieces.back().end_epoch;
    fmt::print("{:>10.6g}{}  {:.6g}{}\n", epoch,
               flags.steps_per_epoch > 0 ? fmt::format("{:>12}", step_of(flags, epoch)) : "",
               piecewise_lr_at(pieces, epoch), after ? "  (and after)" : "");
  }
}

void print_json(const LrFlags& flags, const std::vector<LrPiece>& pieces) {
  nlohmann::json points = nlohmann::json::array();
  for (double epoch : telling_epochs(pieces)) {
    nlohmann::json point = {{"epoch", epoch}, {"learning_rate", piecewise_lr_at(pieces, epoch)}};
    if (flags.steps_per_epoch > 0) point["step"] = step_of(flags, epoch);
    points.push_back(point);
  }
  nlohmann::json result = {{"strategy", flags.strategy}, {"points", points}};
  if (flags.steps_per_epoch > 0) result["steps_per_epoch"] = flags.steps_per_epoch;
  if (!flags.output_url.empty()) result["output_url"] = flags.output_url;
  std::cout << json_text(result) << '\n';
}

// The curve as a file's text.
std::string draw(const LrFlags& flags, const std::vector<LrPiece>& pieces) {
  ChartLine curve;
  // A straight piece is told by its ends; the charts merge points where there are very many.
  const int parts = std::clamp(1000 / static_cast<int>(pieces.size()), 2, 100);
  for (const LrPiece& piece : pieces)
    for (int i = 0; i <= parts; i += piece.kind == LrPiece::kConstant ? parts : 1) {
      const double epoch = piece.start_epoch + (piece.end_epoch - piece.start_epoch) * i / parts;
      curve.points.push_back({epoch, i == parts ? piece.end_value : piecewise_lr_at({piece}, epoch)});
    }
  curve.points.push_back({pieces.back().end_epoch * 1.05, pieces.back().end_value});  // it holds
  const auto above_zero = [](const ChartPoint& p) { return p.y > 0; };
  Chart chart{flags.strategy, "epoch", {}, flags.width, flags.height};
  if (flags.steps_per_epoch > 0)
    chart.x_label = fmt::format("epoch of {} steps ({} samples in batches of {})", flags.steps_per_epoch,
                                flags.num_samples, flags.batch_size);
  chart.log_y = flags.log_scale && std::any_of(curve.points.begin(), curve.points.end(), above_zero);
  chart.lines.push_back(std::move(curve));
  return chart_file(chart);
}

}  // namespace

int run_lr(const std::vector<std::string>& args) {
  CommandLine app(
      "Shows a learning rate strategy: entries END_EPOCH:VALUE with ',' between; a->b is linear, a=>b exponential, "
      "a~>b half a "
      "cosine.\n"
      "Example: mox lr '5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08' --num_samples=50000 --batch_size=256 "
      "--output_url=lr.svg",
      "mox lr");
  LrFlags flags;
  app.option("strategy", flags.strategy, "the strategy; quote it, '>' means something to a shell").required();
  Option samples = app.number("--num_samples", flags.num_samples, {1, kMaxCount},
                              "training samples: with --batch_size, tells steps too");
  Option batch = app.number("--batch_size", flags.batch_size, {1, kMaxBatchSize * kMaxDevices},
                            "of all devices and workers together");
  samples.needs(batch);
  batch.needs(samples);
  app.option("--output_url", flags.output_url, "draw it there, NAME.svg (local or s3://), instead of printing a table");
  app.number("--width", flags.width, {400, 8000}, "of the picture, pixels").show_default();
  app.number("--height", flags.height, {300, 8000}, "of the picture, pixels").show_default();
  app.flag("--log_scale", flags.log_scale, "a logarithmic axis for the rate");
  app.flag("--json", flags.json, "print the points as one JSON object");
  if (int code = app.parse_with_flags(args); code >= 0) return code;

  if (!flags.output_url.empty() && !flags.output_url.ends_with(".svg"))
    throw InvalidArgumentError(
        "--output_url is " + flags.output_url +
        ", expected a name that ends with .svg: the picture is an SVG, which every browser shows");
  const std::vector<LrPiece> pieces = parse_lr_strategy(flags.strategy);
  if (samples.given())
    flags.steps_per_epoch = learning_rate_scheduler::steps_per_epoch(flags.num_samples, flags.batch_size);
  check_number("the last step of the strategy", pieces.back().end_epoch * static_cast<double>(flags.steps_per_epoch), 0,
               static_cast<double>(kMaxCount), "lower --num_samples or the last epoch");
  if (!flags.output_url.empty()) file::write(flags.output_url, draw(flags, pieces));
  if (flags.json)
    print_json(flags, pieces);
  else if (flags.output_url.empty())
    print_table(flags, pieces);
  else
    std::cout << flags.output_url << '\n';
  return kDone;
}

}  // namespace mox::cli
