#include "engine/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <thread>

#include "base/json_text.h"
#include "engine/html_page.h"
#include "engine/svg_chart.h"
#include "moxing/file.h"
#include "moxing/log.h"
#include "moxing/version.h"
#include "tensorflow/c/c_api.h"

namespace mox::cli {

using nlohmann::ordered_json;

namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

std::string shown(const ordered_json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return short_number(value.get<double>());
  return json_text(value);
}

// "samples_per_second" -> "samples/second"
std::string heading(std::string name) {
  if (const size_t at = name.find("_per_"); at != std::string::npos) name.replace(at, 5, "/");
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::vector<std::string> columns_of(const BenchReport& report) {
  std::vector<std::string> names;
  if (!report.rows.empty())
    for (const auto& [name, value] : report.rows.front().items()) names.push_back(name);
  return names;
}

std::string chart_of(const BenchReport& report) {
  Chart chart{heading(report.chart_y), heading(report.chart_x), {}};
  std::map<std::string, std::vector<ChartPoint>> lines;
  for (const ordered_json& row : report.rows)
    if (row[report.chart_x].is_number() && row[report.chart_y].is_number())
      lines[shown(row[report.chart_line])].push_back(
          {row[report.chart_x].get<double>(), row[report.chart_y].get<double>()});
  for (auto& [name, points] : lines) {
    std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
    if (points.size() > 1) chart.lines.push_back({name, points});
  }
  return chart.lines.empty() ? "" : "<div class=\"charts\">\n" + chart_svg(chart) + "</div>\n";
}

std::string table_row(const char* tag, const std::vector<std::string>& texts) {
  std::string row = "<tr>";
  for (const std::string& text : texts) row += fmt::format("<{}>{}</{}>", tag, escape_html(text), tag);
  return row + "</tr>";
}

}  // namespace

ordered_json json_of(const BenchReport& report) {
  return {{"command", report.command},
          {"setup", report.setup},
          {"rows", report.rows},
          {"machine", {{"processor", processor()}, {"threads", std::thread::hardware_concurrency()}}},
          {"versions", {{"moxing", version()}, {"tensorflow", TF_Version()}}}};
}

std::string table_of(const BenchReport& report) {
  std::string text;
  for (const auto& [name, value] : report.setup.items()) text += fmt::format("{}: {}\n", name, shown(value));
  const std::vector<std::string> columns = columns_of(report);
  std::vector<std::string> lines(report.rows.size() + 1);
  for (const std::string& column : columns) {
    const std::string title = heading(column);
    const bool words = report.rows.front()[column].is_string();
    size_t width = title.size();
    for (const ordered_json& row : report.rows) width = std::max(width, shown(row[column]).size());
    const auto add = [&](std::string* line, const std::string& cell) {
      *line += fmt::format(fmt::runtime(words ? "{:<{}}  " : "{:>{}}  "), cell, width);
    };
    add(&lines[0], title);
    for (size_t i = 0; i < report.rows.size(); ++i) add(&lines[i + 1], shown(report.rows[i][column]));
  }
  for (std::string& line : lines) text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  return text + report.notes;
}

std::string page_of(const BenchReport& report) {
  const std::vector<std::string> columns = columns_of(report);
  std::vector<std::string> titles;
  for (const std::string& column : columns) titles.push_back(heading(column));
  std::string body = "<h1>" + report.command + "</h1>\n<div class=\"sub\">" + escape_html(processor()) + ", " +
                     std::to_string(std::thread::hardware_concurrency()) + " threads; TensorFlow " + TF_Version() +
                     "</div>\n" + chart_of(report) + "<h2>Rows</h2>\n<div class=\"card scroll\"><table>" +
                     table_row("th", titles);
  for (const ordered_json& row : report.rows) {
    std::vector<std::string> texts;
    for (const std::string& column : columns) texts.push_back(shown(row[column]));
    body += table_row("td", texts);
  }
  body += "</table></div>\n<p>" + escape_html(report.notes) + "</p>\n<h2>Setting</h2>\n<dl class=\"card config\">";
  for (const auto& [name, value] : report.setup.items())
    body += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_html(name), escape_html(shown(value)));
  return html_page(report.command, body + "</dl>\n", report.command);
}

void tell(const BenchReport& report, bool as_json, const std::string& page) {
  const std::string text = as_json ? json_text(json_of(report)) + "\n" : table_of(report);
  std::fputs(text.c_str(), stdout);
  if (page.empty()) return;
  file::write(page, page_of(report));
  log_info("the page is " + page);
}

}  // namespace mox::cli
