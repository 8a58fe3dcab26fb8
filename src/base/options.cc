#include "base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/limits.h"
#include "base/near_name.h"
#include "base/printable.h"
#include "moxing/error.h"

namespace mox {

using Kind = OptionValues::Kind;

OptionValues OptionValues::unset() && {
  may_be_unset = true;
  return std::move(*this);
}

namespace option_values {

OptionValues integer(int64_t low, int64_t high, const char* note) { return {Kind::kInteger, "", low, high, {}, note}; }
OptionValues number(int64_t low, int64_t high, const char* note) { return {Kind::kNumber, "", low, high, {}, note}; }
OptionValues truth() { return {Kind::kSwitch, "true or false"}; }
OptionValues text(const char* expected) { return {Kind::kText, expected}; }
OptionValues path() { return {Kind::kPath, "a path"}; }
OptionValues one_of(std::vector<std::string> words, const char* note) {
  return {Kind::kWord, "", 0, 0, std::move(words), note};
}
OptionValues mode() { return {Kind::kMode, "TRAIN, EVAL or PREDICT"}; }
OptionValues function(const char* expected) { return {Kind::kFunction, expected}; }
OptionValues object(const char* expected) { return {Kind::kObject, expected}; }

}  // namespace option_values

namespace {

using namespace option_values;
using namespace option_places;

constexpr int64_t kLongest = static_cast<int64_t>(kMaxSeconds);
constexpr int64_t kMostEpochs = 100'000;
constexpr int64_t kMaxKept = std::numeric_limits<int>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kLargest = std::numeric_limits<int64_t>::max();

const OptionInfo& find(const std::vector<OptionInfo>& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const OptionInfo& o) { return name == o.name; });
  if (found == table.end()) throw std::logic_error("there is no option " + std::string(name));
  return *found;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " or ") + words[i];
  return text;
}

[[noreturn]] void reject(const OptionInfo& option, const std::string& got) {
  throw InvalidArgumentError(fmt::format("{} is {}, expected {}", option.name, got, option.expected()));
}

// What stands for the default where it is told.
std::string default_text(const OptionInfo& option) {
  if (option.values.may_be_unset || !option.default_value) return "";
  return printable_name(to_string(*option.default_value));
}

std::string help_of(const std::vector<OptionInfo>& table) {
  std::string text;
  for (const OptionInfo& option : table)
    text += fmt::format("  {}={}\n      {}; {}\n", option.name, default_text(option), option.help, option.expected());
  return text;
}

}  // namespace

int64_t OptionInfo::least() const {
  const auto* unset = default_value ? std::get_if<int64_t>(&*default_value) : nullptr;
  return unset && values.may_be_unset ? std::min(values.low, *unset) : values.low;
}

int64_t OptionInfo::least_given() const {
  const auto* unset = default_value ? std::get_if<int64_t>(&*default_value) : nullptr;
  return unset && values.may_be_unset && *unset == values.low ? values.low + 1 : values.low;
}

std::string OptionInfo::expected(int64_t low) const {
  std::string text = values.expected;
  if (values.kind == Kind::kInteger) text = fmt::format("an integer from {} to {}", low, values.high);
  if (values.kind == Kind::kNumber)
    text = fmt::format("a number from {:g} to {:g}", static_cast<double>(low), static_cast<double>(values.high));
  if (values.kind == Kind::kWord) text = joined(values.words);
  const bool tells = !values.note.empty() && (low == least() || !values.words.empty());
  return tells ? text + "; " + values.note : text;
}

std::string OptionInfo::expected() const { return expected(least()); }

const std::vector<OptionInfo>& run_options() {
  static const auto* table = new std::vector<OptionInfo>{
#define MOX_RUN_OPTION(type, name, by_default, values, where, since, help) \
  OptionInfo{#name, "run", OptionDefault(by_default).value(), values, where, since, help},
#include "moxing/run_options.inc"
  };
  return *table;
}

const std::vector<OptionInfo>& dataset_options() {
  static const auto* table = new std::vector<OptionInfo>{
#define MOX_DATASET_OPTION(group, type, name, by_default, values, since, help) \
  OptionInfo{#name, group, OptionDefault(by_default).value(), values, kPython, since, help},
#include "moxing/dataset_options.inc"
  };
  return *table;
}

const OptionInfo& run_option(std::string_view name) { return find(run_options(), name); }
const OptionInfo& dataset_option(std::string_view name) { return find(dataset_options(), name); }

std::string option_help() {
  return "\nOptions of a run (mox::RunOptions, mox.run; `mox train --help` tells the program's):\n" +
         help_of(run_options()) + "\nOptions of data sets (docs/data.md tells which has which):\n" +
         help_of(dataset_options());
}

void check_option(const OptionInfo& option, int64_t value) {
  if (option.values.kind == Kind::kNumber) return check_option(option, static_cast<double>(value));
  if (value < option.least() || value > option.values.high) reject(option, std::to_string(value));
}

void check_option(const OptionInfo& option, double value) {
  const bool fits =
      value >= static_cast<double>(option.least()) && value <= static_cast<double>(option.values.high);  // nan does not
  if (!fits) reject(option, fmt::format("{}", value));
}

void check_option(const OptionInfo& option, const std::string& value) {
  const auto& words = option.values.words;
  if (words.empty() || (option.values.may_be_unset && value.empty())) return;
  if (std::find(words.begin(), words.end(), value) == words.end())
    throw InvalidArgumentError(fmt::format("{} is '{}', expected {}{}", option.name, printable_name(value),
                                           option.expected(), did_you_mean(value, words)));
}

}  // namespace mox
