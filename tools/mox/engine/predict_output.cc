#include "engine/predict_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/json_text.h"

namespace mox::cli {
namespace {

// The k best classes of a row, best first.
std::vector<int64_t> best_of(const float* row, int64_t classes, int64_t k) {
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  k = std::min(std::max<int64_t>(1, k), classes);
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    [&](int64_t a, int64_t b) { return row[a] > row[b] || (row[a] == row[b] && a < b); });
  order.resize(static_cast<size_t>(k));
  return order;
}

const float* row_of(const Predictions& p, int64_t i) {
  return p.scores.flat<float>().data() + i * p.scores.dim_size(1);
}

std::vector<int64_t> best_of(const Predictions& p, int64_t i) {
  return best_of(row_of(p, i), p.scores.dim_size(1), p.top_k);
}

std::string class_name(const std::vector<std::string>& names, int64_t label) {
  return label < static_cast<int64_t>(names.size()) ? names[static_cast<size_t>(label)] : std::to_string(label);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string json_lines(const Predictions& p) {
  std::string text;
  for (int64_t i = 0; i < p.samples.size(); ++i) {
    const float* row = row_of(p, i);
    const std::vector<int64_t> best = best_of(p, i);
    nlohmann::ordered_json line = {{"image", p.samples.name(i)},
                                   {"label", best[0]},
                                   {"class", class_name(p.names, best[0])},
                                   {p.value, row[best[0]]}};
    if (p.top_k > 1)
      for (const int64_t label : best)
        line["top"].push_back({{"label", label}, {"class", class_name(p.names, label)}, {p.value, row[label]}});
    text += json_text(line) + "\n";
  }
  return text;
}

std::string table(const Predictions& p) {
  size_t width = 5;
  for (int64_t i = 0; i < p.samples.size(); ++i) width = std::max(width, p.samples.name(i).size());
  std::string text = fmt::format("{:<{}}  {:>5}  {:>11}  class\n", "image", width, "label", p.value);
  for (int64_t i = 0; i < p.samples.size(); ++i) {
    bool first = true;
    for (const int64_t label : best_of(p, i)) {
      text += fmt::format("{:<{}}  {:>5}  {:>11.4f}  {}\n", first ? p.samples.name(i) : "", width, label,
                          row_of(p, i)[label], class_name(p.names, label));
      first = false;
    }
  }
  return text;
}

std::string csv(const Predictions& p) {
  std::string text = fmt::format("image,{}label,class,{}\n", p.top_k > 1 ? "rank," : "", p.value);
  for (int64_t i = 0; i < p.samples.size(); ++i) {
    int rank = 0;
    for (const int64_t label : best_of(p, i))
      text +=
          fmt::format("{},{}{},{},{}\n", csv_field(p.samples.name(i)), p.top_k > 1 ? std::to_string(++rank) + "," : "",
                      label, csv_field(class_name(p.names, label)), row_of(p, i)[label]);
  }
  return text;
}

}  // namespace mox::cli
