#include "data/labels_file.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"
#include "base/text.h"
#include "data/names.h"
#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace {

struct Line {
  size_t number;  // from 1
  std::string text;
};

std::vector<Line> lines_of(std::string content) {
  if (content.rfind("\xef\xbb\xbf", 0) == 0) content.erase(0, 3);  // a byte order mark
  std::vector<Line> lines;
  size_t number = 0;
  for (size_t at = 0; at < content.size(); ++number) {
    const size_t end = std::min(content.find('\n', at), content.size());
    const std::string text = trimmed(content.substr(at, end - at));
    if (!text.empty()) lines.push_back({number + 1, text});
    at = end + 1;
  }
  return lines;
}

// Where a `number:` begins at or after `from`: at the start, or after a blank.
struct PairStart {
  size_t begin = std::string::npos;  // of the number
  size_t name = 0;                   // after the colon
};

PairStart next_pair(const std::string& text, size_t from) {
  for (size_t i = from; i < text.size(); ++i) {
    if (i > 0 && text[i - 1] != ' ' && text[i - 1] != '\t' && text[i - 1] != ',') continue;
    size_t end = i;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end > i && end < text.size() && text[end] == ':') return {i, end + 1};
  }
  return {};
}

// A name that the plain form would change stands in quotes: one with blanks at its ends, with control characters, or
// that looks like a quoted one. `alone`: the only class, whose line would be searched for further pairs.
std::string unquoted(const std::string& text, bool alone);

bool needs_quotes(const std::string& name, bool alone) {
  return trimmed(name) != name || unquoted(name, alone) != name ||
         std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }) ||
         (alone && next_pair(name, 0).begin != std::string::npos);
}

std::string quoted_name(const std::string& name) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      text += {'\\', c};
    else if (byte < ' ' || byte == 0x7f)
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    else
      text += c;
  }
  return text + '"';
}

// The byte that `\xNN` at `at` stands for; -1 when it is none.
int escaped_byte(const std::string& text, size_t at) {
  if (text.compare(at, 2, "\\x") != 0 || at + 4 > text.size()) return -1;
  int value = 0;
  for (size_t i = at + 2; i < at + 4; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// The name that `text` stands for: itself, but for what format_labels has put in quotes.
std::string unquoted(const std::string& text, bool alone) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  std::string name;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '"') return text;
    if (text[i] != '\\') {
      name += text[i];
    } else if (text[i + 1] == '"' || text[i + 1] == '\\') {
      name += text[++i];
    } else if (const int byte = escaped_byte(text, i); byte >= 0) {
      name += static_cast<char>(byte);
      i += 3;
    } else {
      return text;
    }
  }
  return needs_quotes(name, alone) && quoted_name(name) == text ? name : text;
}

struct NumberedName {
  size_t line;
  std::string number;
  std::string name;
};

std::vector<NumberedName> pairs_of(const std::vector<Line>& lines) {
  std::vector<NumberedName> pairs;
  const bool alone = lines.size() == 1;
  for (const Line& line : lines) {
    PairStart pair = next_pair(line.text, 0);
    const std::string rest = pair.begin == std::string::npos ? "" : trimmed(line.text.substr(pair.name));
    if (const std::string name = unquoted(rest, alone); name != rest) {
      pairs.push_back({line.number, line.text.substr(pair.begin, pair.name - 1 - pair.begin), name});
      continue;
    }
    while (pair.begin != std::string::npos) {
      // Only in a file of one line do further numbers begin further pairs: names may have numbers in them.
      const PairStart next = alone ? next_pair(line.text, pair.name) : PairStart{};
      std::string name = trimmed(line.text.substr(pair.name, next.begin - pair.name));
      if (next.begin != std::string::npos && !name.empty() && name.back() == ',')
        name = trimmed(name.substr(0, name.size() - 1));
      pairs.push_back({line.number, line.text.substr(pair.begin, pair.name - 1 - pair.begin), name});
      pair = next;
    }
  }
  return pairs;
}

}  // namespace

std::vector<std::string> parse_labels(const std::string& path, const std::string& content) {
  const auto broken = [&](size_t line, const std::string& what) {
    throw DataError("labels file " + path + ", line " + std::to_string(line) + ": " + what);
  };
  const std::vector<Line> lines = lines_of(content);
  if (lines.empty()) throw DataError("labels file " + path + " has no names in it");
  std::vector<std::string> names;
  const auto take = [&](size_t line, const std::string& name) {
    if (name.empty()) broken(line, "class " + std::to_string(names.size()) + " has no name");
    if (names.size() == static_cast<size_t>(kMaxClasses))
      broken(line, "more than " + std::to_string(kMaxClasses) + " classes");
    names.push_back(name);
  };
  if (next_pair(lines[0].text, 0).begin != 0) {
    for (const Line& line : lines) take(line.number, line.text);
    return names;
  }
  for (const Line& line : lines)
    if (next_pair(line.text, 0).begin != 0) broken(line.number, "got '" + line.text + "', expected `number: name`");
  std::map<int64_t, NumberedName> by_number;
  for (const auto& pair : pairs_of(lines)) {
    const int64_t number = pair.number.size() > 9 ? 1'000'000'000 : std::stoll(pair.number);
    if (!by_number.emplace(number, pair).second) broken(pair.line, "class " + pair.number + " is there twice");
  }
  for (const auto& [number, pair] : by_number) {
    if (number != static_cast<int64_t>(names.size()))
      broken(pair.line, "class " + pair.number + " follows " +
                            (names.empty() ? "nothing" : "class " + std::to_string(names.size() - 1)) +
                            "; expected the numbers 0, 1, 2, … without a gap");
    take(pair.line, pair.name);
  }
  return names;
}

std::vector<std::string> read_labels(const std::string& path) {
  // A folder's path: the file was given no name, which is none.
  if (path.empty() || path.back() == '/' || !file_exists(path)) return {};
  return parse_labels(path, read_whole_file(path, kMostTextBytes));
}

std::vector<std::string> words_of(const std::string& content) {
  constexpr char kBetween[] = " \t\r\n";
  std::vector<std::string> words;
  for (size_t at = 0; (at = content.find_first_not_of(kBetween, at)) != std::string::npos;) {
    const size_t end = std::min(content.find_first_of(kBetween, at), content.size());
    words.push_back(content.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string> names_in_label_file(const std::string& path, const std::string& separator,
                                             const std::map<std::string, int64_t>& classes) {
  const std::string content = read_whole_file(path, kMostTextBytes);
  std::vector<std::string> names;
  for (size_t at = 0; at <= content.size();) {
    const size_t end = std::min(content.find(separator, at), content.size());
    const std::string part = trimmed(content.substr(at, end - at));
    at = end + separator.size();
    if (part.empty()) continue;
    const bool several = !classes.count(part) && separator == "\n";
    for (const auto& name : several ? words_of(part) : std::vector<std::string>{part}) {
      if (!classes.count(name))
        throw DataError("label file " + path + " has '" + name + "', which is none of the " +
                        std::to_string(classes.size()) + " classes; check label_sep and the list of labels");
      names.push_back(name);
    }
  }
  return names;
}

void check_distinct(const std::string& path, const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const auto& name : names)
    if (!seen.insert(name).second) throw DataError("labels file " + path + ": the name '" + name + "' is there twice");
}

std::string format_labels(const std::vector<std::string>& names) {
  std::string text;
  const bool alone = names.size() == 1;
  for (size_t i = 0; i < names.size(); ++i)
    text += std::to_string(i) + ": " + (needs_quotes(names[i], alone) ? quoted_name(names[i]) : names[i]) + "\n";
  return text;
}

std::string quoted_names(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const auto& name : names) {
    if (shown.size() == 5) {
      shown.push_back("… (" + std::to_string(names.size()) + " in all)");
      break;
    }
    shown.push_back("'" + name + "'");
  }
  return join_names(shown);
}

void check_same_classes(const std::string& path, const std::vector<std::string>& in_file, const std::string& where,
                        const std::vector<std::string>& found) {
  const std::set<std::string> a(in_file.begin(), in_file.end()), b(found.begin(), found.end());
  std::vector<std::string> only_file, only_found;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only_file));
  std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(only_found));
  if (only_file.empty() && only_found.empty()) return;
  std::string text = "labels file " + path + " does not agree with " + where + ":";
  if (!only_found.empty()) text += " the file lacks " + quoted_names(only_found) + ";";
  if (!only_file.empty()) text += " the file alone has " + quoted_names(only_file) + ";";
  throw InvalidArgumentError(text + " correct the file, or remove it to take the names as they are found");
}

}  // namespace mox::data
