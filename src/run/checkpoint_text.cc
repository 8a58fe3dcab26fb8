#include "run/checkpoint_text.h"

#include <algorithm>
#include <charconv>

#include "moxing/error.h"

namespace mox {
namespace {

constexpr char kPrefix[] = "model.ckpt-";
constexpr char kIndexSuffix[] = ".index";
constexpr size_t kMaxPath = 4096;  // bytes, as Linux and S3 (1024) have it
constexpr char kSaving[] = "moxing saving ";
constexpr char kRemoving[] = "moxing removing ";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr unsigned char kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  *out += static_cast<char>(kFirst[more] | code >> 6 * more);
  for (int i = more - 1; i >= 0; --i) *out += static_cast<char>(0x80 | (code >> 6 * i & 0x3f));
}

// One pass over the text; nothing is looked at twice, and nothing recurses.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  CheckpointText parse() {
    for (skip(); !at_end(); skip()) {
      if (peek() == ',' || peek() == ';') {
        ++at_;
        continue;
      }
      const std::string_view field = name();
      skip();
      if (!at_end() && peek() == ':') ++at_;
      skip();
      value(field);
    }
    return std::move(state_);
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return text_[at_]; }

  [[noreturn]] void fail(const std::string& expected) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + std::min(at_, text_.size()), '\n');
    throw DataError("line " + std::to_string(line) + ": expected " + expected + ", got " +
                    (at_end() ? "the end" : "'" + std::string(text_.substr(at_, 20)) + "'"));
  }

  // Space and comments.
  void skip() {
    for (; !at_end(); ++at_) {
      if (peek() == '#') {
        const size_t end = std::min(text_.find('\n', at_), text_.size());
        comment(end);
        at_ = end;
        if (at_end()) return;
      }
      if (!is_space(peek())) return;
    }
  }

  // Ours are read; a broken one is a comment like any other.
  void comment(size_t end) {
    size_t start = at_ + 1;
    while (start < end && text_[start] == ' ') ++start;
    const std::string_view words = text_.substr(start, end - start);
    for (const std::string_view key : {std::string_view(kSaving), std::string_view(kRemoving)}) {
      if (words.substr(0, key.size()) != key || words.size() == key.size() || words[key.size()] != '"') continue;
      std::string path;
      try {
        Parser(words.substr(key.size())).quoted(&path);
      } catch (const DataError&) {
        return;
      }
      if (key == kSaving)
        state_.saving = std::move(path);
      else
        state_.removing.push_back(std::move(path));
    }
  }

  std::string_view name() {
    const size_t start = at_;
    while (!at_end() && (is_letter(peek()) || (at_ > start && (is_digit(peek()) || peek() == '.')))) ++at_;
    if (at_ == start) fail("the name of a field, such as model_checkpoint_path");
    return text_.substr(start, at_ - start);
  }

  void value(std::string_view field) {
    if (at_end()) fail("a value");
    if (peek() == '{' || peek() == '<') return block();
    if (peek() != '[') return scalar(field);
    ++at_;
    for (skip(); !at_end() && peek() != ']'; skip()) {
      if (peek() == ',')
        ++at_;
      else if (peek() == '{' || peek() == '<')
        block();
      else
        scalar(field);
    }
    if (at_end()) fail("']'");
    ++at_;
  }

  void scalar(std::string_view field) {
    const bool is_latest = field == "model_checkpoint_path", is_one = field == "all_model_checkpoint_paths";
    if (peek() == '"' || peek() == '\'') {
      std::string text;
      for (; !at_end() && (peek() == '"' || peek() == '\''); skip()) quoted(&text);  // neighbours are one
      if (is_latest || is_one) check_path(text);
      if (is_latest)
        state_.latest = std::move(text);
      else if (is_one)
        state_.all.push_back(std::move(text));
      return;
    }
    const size_t start = at_;
    while (!at_end() &&
           (is_letter(peek()) || is_digit(peek()) || std::string_view("+-.").find(peek()) != std::string_view::npos))
      ++at_;
    if (at_ == start || is_latest || is_one) {
      at_ = start;
      fail(is_latest || is_one ? "a path in quotes" : "a value");
    }
  }

  // A message of an unknown field.
  void block() {
    int64_t depth = 0;
    do {
      skip();
      if (at_end()) fail("the end of a block");
      const char c = peek();
      if (c == '"' || c == '\'') {
        std::string ignored;
        quoted(&ignored);
        continue;
      }
      depth += (c == '{' || c == '<') - (c == '}' || c == '>');
      ++at_;
    } while (depth > 0);
  }

  // From a quotation mark to its end.
  void quoted(std::string* out) {
    const char mark = peek();
    for (++at_; !at_end() && peek() != mark; ++at_) {
      if (peek() == '\n') fail("the end of the text in quotes");
      if (peek() == '\\')
        escape(out);
      else
        *out += peek();
    }
    if (at_end()) fail("the end of the text in quotes");
    ++at_;
  }

  // Leaves at_ at the last character of the escape.
  void escape(std::string* out) {
    if (++at_ >= text_.size()) fail("what follows the backslash");
    const char c = peek();
    constexpr std::string_view kNames = "abfnrtv", kMeanings = "\a\b\f\n\r\t\v";
    if (const size_t named = kNames.find(c); named != std::string_view::npos) {
      *out += kMeanings[named];
    } else if (is_octal(c)) {
      int code = 0;
      const size_t end = std::min(at_ + 3, text_.size());
      for (; at_ < end && is_octal(peek()); ++at_) code = code * 8 + (peek() - '0');
      --at_;
      *out += static_cast<char>(code);
    } else if (c == 'x' || c == 'X') {
      *out += static_cast<char>(hex(1, 2));
    } else if (c == 'u' || c == 'U') {
      const uint32_t code = hex(c == 'u' ? 4 : 8, c == 'u' ? 4 : 8);
      if (code > 0x10ffff) fail("a character up to U+10FFFF");
      append_utf8(code, out);
    } else {
      *out += c;
    }
  }

  uint32_t hex(size_t least, size_t most) {
    uint32_t code = 0;
    size_t digits = 0;
    for (; digits < most && at_ + 1 < text_.size() && hex_value(text_[at_ + 1]) >= 0; ++digits)
      code = code * 16 + static_cast<uint32_t>(hex_value(text_[++at_]));
    if (digits < least) fail("hexadecimal digits");
    return code;
  }

  void check_path(const std::string& path) const {
    if (path.size() > kMaxPath)
      fail("a path of at most " + std::to_string(kMaxPath) + " bytes (it has " + std::to_string(path.size()) + ")");
    if (path.find('\0') != std::string::npos) fail("a path without zero bytes");
  }

  const std::string_view text_;
  size_t at_ = 0;
  CheckpointText state_;
};

std::string in_quotes(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      result += {'\\', static_cast<char>('0' + (byte >> 6)), static_cast<char>('0' + (byte >> 3 & 7)),
                 static_cast<char>('0' + (byte & 7))};
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace

CheckpointText parse_checkpoint_text(std::string_view text) {
  if (text.size() > static_cast<size_t>(kMaxCheckpointText))
    throw DataError("it has " + std::to_string(text.size()) + " bytes, expected at most " +
                    std::to_string(kMaxCheckpointText));
  return Parser(text).parse();
}

std::string format_checkpoint_text(const CheckpointText& state) {
  std::string text;
  if (!state.latest.empty()) text += "model_checkpoint_path: " + in_quotes(state.latest) + "\n";
  for (const std::string& path : state.all) text += "all_model_checkpoint_paths: " + in_quotes(path) + "\n";
  const auto comment = [&](const char* word, const std::string& path) {
    text.append("# ").append(word).append(in_quotes(path)).append("\n");
  };
  if (!state.saving.empty()) comment(kSaving, state.saving);
  for (const std::string& path : state.removing) comment(kRemoving, path);
  return text;
}

std::string checkpoint_name(int64_t step) { return kPrefix + std::to_string(step); }

int64_t step_of_checkpoint_name(std::string_view name) {
  const std::string_view prefix(kPrefix);
  if (name.substr(0, prefix.size()) != prefix || name.size() == prefix.size() || !is_digit(name[prefix.size()]))
    return -1;
  int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, step);
  // "007" is nobody's.
  return error == std::errc() && stop == end && checkpoint_name(step) == name ? step : -1;
}

std::string checkpoint_of_file(std::string_view file_name, bool* is_data) {
  const size_t dot = file_name.find('.', std::string_view(kPrefix).size());
  if (dot == std::string_view::npos) return "";
  const std::string_view name = file_name.substr(0, dot), rest = file_name.substr(dot);
  if (step_of_checkpoint_name(name) < 0) return "";
  // .data-00000-of-00001
  constexpr std::string_view kShape = ".data-00000-of-00000";
  *is_data = rest.size() == kShape.size() &&
             std::equal(rest.begin(), rest.end(), kShape.begin(),
                        [](char c, char shape) { return shape == '0' ? is_digit(c) : c == shape; });
  return *is_data || rest == kIndexSuffix ? std::string(name) : "";
}

}  // namespace mox
