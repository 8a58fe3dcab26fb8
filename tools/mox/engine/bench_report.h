// What a benchmark of the program tells: as a table, as JSON, and as a page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mox::cli {

struct BenchReport {
  std::string command;                       // "mox bench train"
  nlohmann::ordered_json setup;              // of all rows; flat
  std::vector<nlohmann::ordered_json> rows;  // flat, with the same members: words first, then numbers; null: not known
  std::string chart_x, chart_y,
      chart_line;          // members of the rows: a chart of y over x, a line for each value of the last
  std::string notes = "";  // below the table: what the columns are
};

// setup and rows as one object, with the processor, its cores and the versions.
nlohmann::ordered_json json_of(const BenchReport& report);

// For a terminal.
std::string table_of(const BenchReport& report);

// One HTML file that needs nothing else.
std::string page_of(const BenchReport& report);

// Prints the table, or the JSON; the page goes to `page`, when that is not "".
void tell(const BenchReport& report, bool as_json, const std::string& page);

}  // namespace mox::cli
