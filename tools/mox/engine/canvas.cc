#include "engine/canvas.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/canvas_font.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/image_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox::cli {

namespace {

constexpr int kAdvance = 6;  // dots from one letter to the next

// Distance from p to the line from a to b.
double distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const double t = length == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

// Calls dot(x, y) for every dot of the text, in dots from its top left.
template <typename Dot>
void for_each_dot(const std::string& text, Dot dot) {
  for (size_t i = 0; i < text.size(); ++i) {
    const Glyph& glyph = glyph_of(static_cast<char>(std::tolower(static_cast<unsigned char>(text[i]))));
    for (int y = 0; y < 7; ++y)
      for (int x = 0; x < 5; ++x)
        if (glyph.rows[y][x] == '#') dot(static_cast<int>(i) * kAdvance + x, y);
  }
}

}  // namespace

Canvas::Canvas(int width, int height)
    : width_(width), height_(height), pixels_(static_cast<size_t>(width) * height * 3, 255) {}

Color Canvas::at(int x, int y) const {
  const uint8_t* pixel = &pixels_[(static_cast<size_t>(y) * width_ + x) * 3];
  return {pixel[0], pixel[1], pixel[2]};
}

void Canvas::blend(int x, int y, Color color, double coverage) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_ || coverage <= 0) return;
  uint8_t* pixel = &pixels_[(static_cast<size_t>(y) * width_ + x) * 3];
  const uint8_t wanted[] = {color.red, color.green, color.blue};
  for (int c = 0; c < 3; ++c)
    pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + (wanted[c] - pixel[c]) * std::min(coverage, 1.0)));
}

void Canvas::fill_rectangle(int left, int top, int width, int height, Color color) {
  for (int y = top; y < top + height; ++y)
    for (int x = left; x < left + width; ++x) blend(x, y, color, 1);
}

void Canvas::draw_line(const std::vector<Point>& points, double thickness, Color color) {
  // The largest coverage of all segments, blended once: joints stay as thin as the rest.
  std::vector<float> coverage(static_cast<size_t>(width_) * height_, 0);
  const double reach = thickness / 2 + 1;
  for (size_t i = 1; i < points.size(); ++i) {
    const Point a = points[i - 1], b = points[i];
    const int left = std::max(0, static_cast<int>(std::min(a.x, b.x) - reach));
    const int right = std::min(width_ - 1, static_cast<int>(std::max(a.x, b.x) + reach));
    const int top = std::max(0, static_cast<int>(std::min(a.y, b.y) - reach));
    const int bottom = std::min(height_ - 1, static_cast<int>(std::max(a.y, b.y) + reach));
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x) {
        float& most = coverage[static_cast<size_t>(y) * width_ + x];
        most = std::max(most, static_cast<float>(thickness / 2 + 0.5 - distance({x + 0.5, y + 0.5}, a, b)));
      }
  }
  for (int y = 0; y < height_; ++y)
    for (int x = 0; x < width_; ++x) blend(x, y, color, coverage[static_cast<size_t>(y) * width_ + x]);
}

int Canvas::text_width(const std::string& text, int scale) {
  return text.empty() ? 0 : (static_cast<int>(text.size()) * kAdvance - 1) * scale;
}

void Canvas::draw_text(int left, int top, const std::string& text, int scale, Color color) {
  for_each_dot(text, [&](int x, int y) { fill_rectangle(left + x * scale, top + y * scale, scale, scale, color); });
}

void Canvas::draw_text_upwards(int left, int bottom, const std::string& text, int scale, Color color) {
  for_each_dot(text,
               [&](int x, int y) { fill_rectangle(left + y * scale, bottom - (x + 1) * scale, scale, scale, color); });
}

std::string Canvas::png() const {
  namespace tf = tensorflow;
  tf::Tensor image(tf::DT_UINT8, {height_, width_, 3});
  std::memcpy(image.flat<uint8_t>().data(), pixels_.data(), pixels_.size());
  tf::Scope scope = tf::Scope::NewRootScope();
  const auto input = tf::ops::Placeholder(scope, tf::DT_UINT8);
  const tf::ops::EncodePng encoded(scope, input);
  tf::GraphDef graph;
  std::vector<tf::Tensor> results;
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  absl::Status status = scope.ToGraphDef(&graph);
  if (status.ok()) status = session->Create(graph);
  if (status.ok()) status = session->Run({{tf::Output(input).name(), image}}, {encoded.contents.name()}, {}, &results);
  if (!status.ok()) throw RunError("encoding a PNG: " + std::string(status.message()));
  return results[0].scalar<tf::tstring>()();
}

}  // namespace mox::cli
