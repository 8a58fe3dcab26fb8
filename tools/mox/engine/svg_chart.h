// Line charts as SVG, inside a page or as a file: no script, no outside resource.
#pragma once

#include <string>
#include <vector>

namespace mox::cli {

struct ChartPoint {
  double x, y;
};

struct ChartLine {
  std::string name;
  std::vector<ChartPoint> points;  // x rises
  bool smooth = false;             // noisy values: drawn pale, with their moving mean on top
};

struct Chart {
  std::string title, x_label;
  std::vector<ChartLine> lines;
  int width = 560, height = 240;  // pixels
  bool log_y = false;             // values from 0 down are left out
};

// For a page: its style sheet has the colours. Values that are not finite are left out; "" when nothing is left to
// draw.
std::string chart_svg(const Chart& chart);
// The same as a file of its own.
std::string chart_file(const Chart& chart);

// For text and attributes of HTML.
std::string escape_html(const std::string& text);

// "0.0125", "1,234", "3.2e-05": as short as four digits allow.
std::string short_number(double value);

}  // namespace mox::cli
