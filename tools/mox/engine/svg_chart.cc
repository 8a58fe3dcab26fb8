#include "engine/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mox::cli {
namespace {

constexpr double kLeft = 62, kRight = 16, kTop = 14, kBottom = 40;
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

// Powers of ten around those whose logarithms are low and high, with eight intervals at the most.
Range decades(double low, double high) {
  Range range{std::floor(low + 1e-9), std::ceil(high - 1e-9)};
  if (range.high <= range.low) range.high = range.low + 1;
  range.step = std::ceil((range.high - range.low) / 8);
  return range;
}

constexpr char kFileStyle[] =
    "svg{background:#fff;font-family:sans-serif}.title{fill:#1c2430;font-size:14px;font-weight:600}.grid{stroke:#"
    "e1e6ec}"
    ".tick{fill:#5d6b7c;font-size:11.5px}.line{fill:none;stroke-width:2;stroke-linejoin:round}.pale{opacity:.3}"
    ".line0{stroke:#2463c9}.line1{stroke:#d9622b}.line2{stroke:#1f8a5b}.dot{fill:#2463c9}";

class Drawing {
 public:
  // `top`: of the axes, pixels. With chart.log_y, y is of the values' logarithms.
  Drawing(const Chart& chart, double top, Range x, Range y)
      : width_(chart.width), height_(chart.height), top_(top), log_y_(chart.log_y), x_(x), y_(y) {}

  std::string axes(const std::string& x_label) const {
    std::string out;
    const int64_t rows = std::llround((y_.high - y_.low) / y_.step);
    for (int64_t i = 0; i <= rows; ++i) {
      const double y = y_.low + static_cast<double>(i) * y_.step;
      out += fmt::format(
          R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
          kLeft, width_ - kRight, at_y(y), at_y(y), kLeft - 8, at_y(y) + 4,
          short_number(log_y_ ? std::pow(10, y) : clean(y, y_.step)));
    }
    const double first = std::ceil(x_.low / x_.step) * x_.step;
    const auto columns = static_cast<int64_t>(std::floor((x_.high - first) / x_.step + 1e-6));
    for (int64_t i = 0; i <= columns; ++i) {
      const double x = first + static_cast<double>(i) * x_.step;
      out += fmt::format(R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", at_x(x),
                         height_ - kBottom + 17, short_number(clean(x, x_.step)));
    }
    out += fmt::format(R"(<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>)",
                       (kLeft + width_ - kRight) / 2, height_ - 6, escape_html(x_label));
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
  double at_x(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (width_ - kLeft - kRight); }
  double at_y(double y) const {
    return height_ - kBottom - (y - y_.low) / (y_.high - y_.low) * (height_ - top_ - kBottom);
  }
  static double clean(double value, double step) { return std::abs(value) < step * 1e-6 ? 0 : value; }

  const double width_, height_, top_;
  const bool log_y_;
  const Range x_, y_;
};

std::string last_values(const std::vector<ChartLine>& lines) {
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i)
    out += fmt::format(R"(<span class="key"><i class="key{}"></i>{} <b>{}</b></span>)", i, escape_html(lines[i].name),
                       short_number(lines[i].points.back().y));
  return out;
}

// The lines without what cannot be drawn.
std::vector<ChartLine> drawable(const Chart& chart) {
  std::vector<ChartLine> lines;
  for (const ChartLine& line : chart.lines) {
    ChartLine kept{line.name, finite(line.points), line.smooth};
    if (chart.log_y) std::erase_if(kept.points, [](const ChartPoint& p) { return p.y <= 0; });
    if (!kept.points.empty()) lines.push_back(std::move(kept));
  }
  return lines;
}

// Axes and lines, inside an <svg>; `top`: where the axes begin, pixels.
std::string drawn(const Chart& chart, std::vector<ChartLine> lines, double top) {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (ChartLine& line : lines)
    for (ChartPoint& p : line.points) {
      if (chart.log_y) p.y = std::log10(p.y);
      x_low = std::min(x_low, p.x);
      x_high = std::max(x_high, p.x);
      y_low = std::min(y_low, p.y);
      y_high = std::max(y_high, p.y);
    }
  Range x = nice_range(x_low, x_high, 6);
  if (x_low < x_high) x.low = x_low, x.high = x_high;
  const Drawing drawing(chart, top, x, chart.log_y ? decades(y_low, y_high) : nice_range(y_low, y_high, 5));
  std::string body = drawing.axes(chart.x_label);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string css = "line line" + std::to_string(i);
    const bool smooth = lines[i].smooth && lines[i].points.size() >= 40;
    body += drawing.path(lines[i].points, smooth ? css + " pale" : css);
    if (smooth) body += drawing.path(moving_mean(lines[i].points), css);
  }
  return body;
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
  const std::vector<ChartLine> lines = drawable(chart);
  if (lines.empty()) return "";
  return fmt::format(
      R"(<figure class="card"><figcaption><span>{0}</span>{1}</figcaption><svg viewBox="0 0 {2} {3}" role="img" aria-label="{0}">{4}</svg></figure>)"
      "\n",
      escape_html(chart.title), last_values(lines), chart.width, chart.height, drawn(chart, lines, kTop));
}

std::string chart_file(const Chart& chart) {
  constexpr double kTitle = 24;  // pixels
  const std::vector<ChartLine> lines = drawable(chart);
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}"><style>{2}</style><text class="title" x="{3}" y="20">{4}</text>{5}</svg>)"
      "\n",
      chart.width, chart.height, kFileStyle, kLeft, escape_html(chart.title),
      lines.empty() ? "" : drawn(chart, lines, kTop + kTitle));
}

}  // namespace mox::cli
