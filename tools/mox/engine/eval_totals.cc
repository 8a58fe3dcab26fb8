#include "engine/eval_totals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/printable.h"

namespace mox::cli {

using nlohmann::ordered_json;

namespace {

constexpr size_t kMostLines = 100, kLinesOfMany = 20;

std::string name_of(const std::vector<std::string>& names, size_t i) {
  return i < names.size() ? names[i] : std::to_string(i);
}

std::string part(int64_t count, int64_t of) {
  return of > 0 ? fmt::format("{:.4f}", static_cast<double>(count) / static_cast<double>(of)) : "-";
}

ordered_json part_json(int64_t count, int64_t of) {
  return of > 0 ? ordered_json(static_cast<double>(count) / static_cast<double>(of)) : ordered_json(nullptr);
}

}  // namespace

void EvalTotals::add(const OutputDict& dict) {
  const auto losses = dict.at("loss").flat<float>();
  const auto first = dict.at("top1").flat<bool>(), fifth = dict.at("top5").flat<bool>();
  const auto labels = dict.at("labels").flat<int64_t>();
  const auto probabilities = dict.at("probabilities").flat<float>();
  const auto width = static_cast<int64_t>(classes_.size());
  samples_ += losses.size();
  for (int64_t i = 0; i < losses.size(); ++i) {
    loss_ += losses(i);
    no_numbers_ += !std::isfinite(losses(i));
    top1_ += first(i);
    top5_ += fifth(i);
    const float* row = probabilities.data() + i * width;
    ++classes_[static_cast<size_t>(std::max_element(row, row + width) - row)].taken_for;
    if (labels(i) < 0 || labels(i) >= width) continue;
    OfClass& own = classes_[static_cast<size_t>(labels(i))];
    ++own.samples;
    own.right += std::max_element(row, row + width) - row == labels(i);
  }
}

std::string EvalTotals::table(const std::vector<std::string>& names) const {
  std::vector<size_t> shown(classes_.size());
  std::iota(shown.begin(), shown.end(), 0);
  const bool many = shown.size() > kMostLines;
  if (many) {
    std::erase_if(shown, [&](size_t i) { return classes_[i].samples == 0; });
    const auto recall = [&](size_t i) {
      return static_cast<double>(classes_[i].right) / static_cast<double>(classes_[i].samples);
    };
    std::stable_sort(shown.begin(), shown.end(), [&](size_t a, size_t b) { return recall(a) < recall(b); });
    shown.resize(std::min(shown.size(), kLinesOfMany));
  }
  size_t width = 5;
  for (const size_t i : shown) width = std::max(width, printable_name(name_of(names, i)).size());
  std::string text = fmt::format("{:<{}}  {:>8}  {:>7}  {:>9}\n", "class", width, "samples", "recall", "precision");
  for (const size_t i : shown) {
    const OfClass& c = classes_[i];
    text += fmt::format("{:<{}}  {:>8}  {:>7}  {:>9}\n", printable_name(name_of(names, i)), width, c.samples,
                        part(c.right, c.samples), part(c.right, c.taken_for));
  }
  if (many)
    text += fmt::format("the {} of {} classes with the least recall; --json has all\n", shown.size(), classes_.size());
  return text;
}

ordered_json EvalTotals::by_class(const std::vector<std::string>& names) const {
  ordered_json all = ordered_json::array();
  for (size_t i = 0; i < classes_.size(); ++i) {
    const OfClass& c = classes_[i];
    all.push_back({{"class", name_of(names, i)},
                   {"samples", c.samples},
                   {"recall", part_json(c.right, c.samples)},
                   {"precision", part_json(c.right, c.taken_for)}});
  }
  return all;
}

}  // namespace mox::cli
