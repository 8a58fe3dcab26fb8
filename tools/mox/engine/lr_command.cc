// mox lr: a learning rate strategy as a table or a picture.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "command_line.h"
#include "engine/canvas.h"
#include "engine/entry.h"
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
  std::cout << json_text(result) << std::endl;
}

// 1, 2 or 5 times a power of ten, so that about `count` of them make `range`.
double nice_step(double range, int count) {
  const double raw = range / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw * 0.999) return factor * power;
  return 10 * power;
}

constexpr Color kInk = {40, 40, 40}, kGrid = {225, 225, 225}, kCurve = {31, 96, 180}, kNote = {110, 110, 110};
constexpr int kScale = 2;  // of the text

// Maps (epoch, rate) to pixels and draws.
class LrPlot {
 public:
  LrPlot(const LrFlags& flags, const std::vector<LrPiece>& pieces)
      : flags_(flags), pieces_(pieces), canvas_(flags.width, flags.height) {
    last_epoch_ = pieces.back().end_epoch * 1.05;
    for (const LrPiece& piece : pieces)
      for (double value : {piece.start_value, piece.end_value}) {
        high_ = std::max(high_, value);
        if (value > 0) low_ = std::min(low_, value);
      }
    if (high_ == 0) high_ = low_ = 1;  // a flat 0 still gets an axis
    log_ = flags.log_scale;
    bottom_value_ = log_ ? std::pow(10, std::floor(std::log10(low_) + 1e-9)) : 0;
    top_value_ = log_ ? std::pow(10, std::ceil(std::log10(high_) - 1e-9)) : high_ * 1.05;
    if (log_ && top_value_ <= bottom_value_) top_value_ = bottom_value_ * 10;
  }

  std::string png() {
    draw_title();
    draw_epochs();
    draw_rates();
    draw_curve();
    return canvas_.png();
  }

 private:
  static constexpr int kLeft = 150, kTop = 60, kRight = 30, kBottom = 90;

  double x_of(double epoch) const { return kLeft + epoch / last_epoch_ * (canvas_.width() - kLeft - kRight); }
  double y_of(double rate) const {
    const double inner = canvas_.height() - kTop - kBottom;
    const double part =
        log_ ? std::log(std::max(rate, bottom_value_) / bottom_value_) / std::log(top_value_ / bottom_value_)
             : rate / top_value_;
    return kTop + (1 - part) * inner;
  }
  int floor_y() const { return canvas_.height() - kBottom; }

  void draw_title() {
    std::string title = flags_.strategy;
    const size_t fits = (canvas_.width() - kLeft - kRight) / (6 * kScale);
    if (title.size() > fits) title = title.substr(0, fits - 3) + "...";
    canvas_.draw_text(kLeft, 20, title, kScale, kInk);
  }

  void draw_centered(double x, int top, const std::string& text, Color color) {
    const int width = Canvas::text_width(text, kScale);
    const int left = std::min(static_cast<int>(x) - width / 2, canvas_.width() - width - 4);
    canvas_.draw_text(left, top, text, kScale, color);
  }

  void draw_epochs() {
    const double step = nice_step(last_epoch_, 8);
    for (int i = 0; i * step <= last_epoch_ * 1.0001; ++i) {
      const int x = static_cast<int>(x_of(i * step));
      canvas_.fill_rectangle(x, kTop, 1, floor_y() - kTop, kGrid);
      canvas_.fill_rectangle(x, floor_y(), 1, 6, kInk);
      draw_centered(x, floor_y() + 12, fmt::format("{:.6g}", i * step), kInk);
      // Steps are long numbers: under every second epoch.
      if (flags_.steps_per_epoch > 0 && i % 2 == 0)
        draw_centered(x, floor_y() + 34, fmt::format("{}", step_of(flags_, i * step)), kNote);
    }
    canvas_.fill_rectangle(kLeft, floor_y(), canvas_.width() - kLeft - kRight, 1, kInk);
    canvas_.draw_text(20, floor_y() + 12, "epoch", kScale, kInk);
    if (flags_.steps_per_epoch > 0) {
      canvas_.draw_text(20, floor_y() + 34, "step", kScale, kNote);
      canvas_.draw_text(kLeft, floor_y() + 64,
                        fmt::format("{} samples in batches of {}", flags_.num_samples, flags_.batch_size), kScale,
                        kNote);
    }
  }

  void draw_rate(double value) {
    const int y = static_cast<int>(y_of(value));
    canvas_.fill_rectangle(kLeft, y, canvas_.width() - kLeft - kRight, 1, kGrid);
    canvas_.fill_rectangle(kLeft - 6, y, 6, 1, kInk);
    const std::string text = fmt::format("{:.6g}", value);
    canvas_.draw_text(kLeft - 12 - Canvas::text_width(text, kScale), y - Canvas::text_height(kScale) / 2, text, kScale,
                      kInk);
  }

  void draw_rates() {
    if (log_) {
      for (double value = bottom_value_; value <= top_value_ * 1.0001; value *= 10) draw_rate(value);
    } else {
      const double step = nice_step(top_value_, 6);
      for (int i = 0; i * step <= top_value_; ++i) draw_rate(i * step);
    }
    canvas_.fill_rectangle(kLeft, kTop, 1, floor_y() - kTop, kInk);
    const int middle = (kTop + floor_y()) / 2;
    canvas_.draw_text_upwards(16, middle + Canvas::text_width("learning rate", kScale) / 2, "learning rate", kScale,
                              kInk);
  }

  void draw_curve() {
    std::vector<Point> points;
    constexpr int kParts = 100;
    for (const LrPiece& piece : pieces_)
      for (int i = 0; i <= kParts; ++i) {
        const double epoch = piece.start_epoch + (piece.end_epoch - piece.start_epoch) * i / kParts;
        const double rate = i == kParts ? piece.end_value : piecewise_lr_at({piece}, epoch);
        points.push_back({x_of(epoch), y_of(rate)});
      }
    points.push_back({x_of(last_epoch_), points.back().y});
    canvas_.draw_line(points, 3, kCurve);
  }

  const LrFlags& flags_;
  const std::vector<LrPiece>& pieces_;
  Canvas canvas_;
  double last_epoch_, high_ = 0, low_ = HUGE_VAL, bottom_value_, top_value_;
  bool log_;
};

}  // namespace

int run_lr(const std::vector<std::string>& args) {
  CommandLine app(
      "Shows a learning rate strategy: entries END_EPOCH:VALUE with ',' between; a->b is linear, a=>b exponential.\n"
      "Example: mox lr '5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08' --num_samples=50000 --batch_size=256 "
      "--output_url=lr.png",
      "mox lr");
  LrFlags flags;
  app.option("strategy", flags.strategy, "the strategy; quote it, '>' means something to a shell").required();
  Option samples = app.number("--num_samples", flags.num_samples, {1, kMaxCount},
                              "training samples: with --batch_size, tells steps too");
  Option batch = app.number("--batch_size", flags.batch_size, {1, kMaxBatchSize * kMaxDevices},
                            "of all devices and workers together");
  samples.needs(batch);
  batch.needs(samples);
  app.option("--output_url", flags.output_url, "draw a PNG there (local or s3://) instead of printing a table");
  app.number("--width", flags.width, {400, 8000}, "of the picture, pixels").show_default();
  app.number("--height", flags.height, {300, 8000}, "of the picture, pixels").show_default();
  app.flag("--log_scale", flags.log_scale, "a logarithmic axis for the rate");
  app.flag("--json", flags.json, "print the points as one JSON object");
  if (int code = app.parse_with_flags(args); code >= 0) return code;

  const std::vector<LrPiece> pieces = parse_lr_strategy(flags.strategy);
  if (samples.given())
    flags.steps_per_epoch = learning_rate_scheduler::steps_per_epoch(flags.num_samples, flags.batch_size);
  check_number("the last step of the strategy", pieces.back().end_epoch * static_cast<double>(flags.steps_per_epoch), 0,
               static_cast<double>(kMaxCount), "lower --num_samples or the last epoch");
  if (!flags.output_url.empty()) file::write(flags.output_url, LrPlot(flags, pieces).png());
  if (flags.json)
    print_json(flags, pieces);
  else if (flags.output_url.empty())
    print_table(flags, pieces);
  else
    std::cout << flags.output_url << std::endl;
  return kDone;
}

}  // namespace mox::cli
