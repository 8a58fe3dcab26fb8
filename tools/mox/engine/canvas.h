// A picture to draw curves and labels on, written as PNG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mox::cli {

struct Color {
  uint8_t red, green, blue;
};

struct Point {
  double x, y;  // pixels from the top left
};

class Canvas {
 public:
  // White.
  Canvas(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }
  Color at(int x, int y) const;

  // Points outside of the picture are cut off.
  void fill_rectangle(int left, int top, int width, int height, Color color);
  // One smooth line through all points.
  void draw_line(const std::vector<Point>& points, double thickness, Color color);
  // Letters are drawn small; characters that the font lacks become '?'. `scale`: pixels a dot; 7 dots are a line.
  void draw_text(int left, int top, const std::string& text, int scale, Color color);
  // From bottom to top, as on a vertical axis; (left, bottom) is where it starts.
  void draw_text_upwards(int left, int bottom, const std::string& text, int scale, Color color);
  static int text_width(const std::string& text, int scale);
  static int text_height(int scale) { return 7 * scale; }

  // The file's bytes. RunError when the encoder fails.
  std::string png() const;

 private:
  void blend(int x, int y, Color color, double coverage);

  int width_, height_;
  std::vector<uint8_t> pixels_;  // red, green, blue; row by row
};

}  // namespace mox::cli
