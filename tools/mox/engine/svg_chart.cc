#include "engine/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mox::cli {
namespace {

constexpr double kWidth = 560, kHeight = 240, kLeft = 62, kRight = 16, kTop = 14, kBottom = 40;
constexpr size_t kMostPoints = 1200;  // more than the picture has columns

struct Range {
  double low = 0, high = 0, step = 1;
};

// Round numbers around [low, high], with `count` intervals or so.
Range nice_range(double low, double high, int count) {
  // Equal but for rounding: a step below the numbers' own precision would never reach the end.
  if (high - low <= 1e-9 * std::max(std::abs(low), std::abs(high))) {
    const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double ratio = rough / power;
  const double step = (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10) * power;
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

std::vector<ChartPoint> finite(const std::vector<ChartPoint>& points) {
  std::vector<ChartPoint> kept;
  for (const ChartPoint& p : points)
    if (std::isfinite(p.x) && std::isfinite(p.y)) kept.push_back(p);
  if (kept.size() <= kMostPoints) return kept;
  // The mean of each group of neighbours.
  std::vector<ChartPoint> fewer;
  const size_t group = (kept.size() + kMostPoints - 1) / kMostPoints;
  for (size_t i = 0; i < kept.size(); i += group) {
    const size_t end = std::min(kept.size(), i + group);
    ChartPoint mean{0, 0};
    for (size_t j = i; j < end; ++j) mean = {mean.x + kept[j].x, mean.y + kept[j].y};
    fewer.push_back({mean.x / (end - i), mean.y / (end - i)});
  }
  return fewer;
}

// Each point's mean with its neighbours: a twentieth of the curve on either side.
std::vector<ChartPoint> moving_mean(const std::vector<ChartPoint>& points) {
  const auto reach = static_cast<std::ptrdiff_t>(points.size() / 20);
  std::vector<ChartPoint> smooth;
  for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(points.size()); ++i) {
    // As far to the left as to the right: the ends keep their places.
    const std::ptrdiff_t side = std::min({reach, i, static_cast<std::ptrdiff_t>(points.size()) - 1 - i});
    double sum = 0;
    for (std::ptrdiff_t j = i - side; j <= i + side; ++j) sum += points[j].y;
    smooth.push_back({points[i].x, sum / (2 * side + 1)});
  }
  return smooth;
}

class Drawing {
 public:
  Drawing(Range x, Range y) : x_(x), y_(y) {}

  std::string axes(const std::string& x_label) const {
    std::string out;
    for (double y = y_.low; y <= y_.high + y_.step / 2; y += y_.step)
      out += fmt::format(
          R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
          kLeft, kWidth - kRight, at_y(y), at_y(y), kLeft - 8, at_y(y) + 4, short_number(clean(y, y_.step)));
    for (double x = std::ceil(x_.low / x_.step) * x_.step; x <= x_.high + x_.step * 1e-6; x += x_.step)
      out += fmt::format(R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", at_x(x),
                         kHeight - kBottom + 17, short_number(clean(x, x_.step)));
    out += fmt::format(R"(<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>)",
                       (kLeft + kWidth - kRight) / 2, kHeight - 6, escape_html(x_label));
    return out;
  }

  std::string path(const std::vector<ChartPoint>& points, const std::string& css) const {
    if (points.size() == 1)
      return fmt::format(R"(<circle class="{} dot" cx="{:.1f}" cy="{:.1f}" r="3"/>)", css, at_x(points[0].x),
                         at_y(points[0].y));
    std::string d;
    for (const ChartPoint& p : points) d += fmt::format("{}{:.1f},{:.1f}", d.empty() ? "M" : "L", at_x(p.x), at_y(p.y));
    return fmt::format(R"(<path class="{}" d="{}"/>)", css, d);
  }

 private:
  double at_x(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (kWidth - kLeft - kRight); }
  double at_y(double y) const {
    return kHeight - kBottom - (y - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
  }
  static double clean(double value, double step) { return std::abs(value) < step * 1e-6 ? 0 : value; }

  const Range x_, y_;
};

std::string last_values(const std::vector<ChartLine>& lines) {
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i)
    out += fmt::format(R"(<span class="key"><i class="key{}"></i>{} <b>{}</b></span>)", i, escape_html(lines[i].name),
                       short_number(lines[i].points.back().y));
  return out;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const double size = std::abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-4)) return fmt::format("{:.3g}", value);
  std::string text = size >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
  if (size < 1000) return text;
  for (int i = static_cast<int>(text.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3) text.insert(i, ",");
  return text;
}

std::string chart_svg(const Chart& chart) {
  std::vector<ChartLine> lines;
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const ChartLine& line : chart.lines) {
    ChartLine kept{line.name, finite(line.points), line.smooth};
    if (kept.points.empty()) continue;
    for (const ChartPoint& p : kept.points) {
      x_low = std::min(x_low, p.x);
      x_high = std::max(x_high, p.x);
      y_low = std::min(y_low, p.y);
      y_high = std::max(y_high, p.y);
    }
    lines.push_back(std::move(kept));
  }
  if (lines.empty()) return "";
  Range x = nice_range(x_low, x_high, 6);
  if (x_low < x_high) x.low = x_low, x.high = x_high;
  const Drawing drawing(x, nice_range(y_low, y_high, 5));
  std::string body = drawing.axes(chart.x_label);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string css = "line line" + std::to_string(i);
    const bool smooth = lines[i].smooth && lines[i].points.size() >= 40;
    body += drawing.path(lines[i].points, smooth ? css + " pale" : css);
    if (smooth) body += drawing.path(moving_mean(lines[i].points), css);
  }
  return fmt::format(
      R"(<figure class="card"><figcaption><span>{0}</span>{1}</figcaption><svg viewBox="0 0 {2} {3}" role="img" aria-label="{0}">{4}</svg></figure>)"
      "\n",
      escape_html(chart.title), last_values(lines), kWidth, kHeight, body);
}

}  // namespace mox::cli
