#include "engine/npy_header.h"

#include <algorithm>
#include <limits>

#include "base/printable.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostDimensions = 8;  // that TensorFlow's operations take
constexpr size_t kShown = 200;         // bytes of a header in a message

// A Python dictionary with the keys descr, fortran_order and shape, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr")
        header.descr = descr();
      else if (key == "fortran_order")
        fortran_order();
      else if (key == "shape")
        shape(&header);
      else
        fail();
      seen_.push_back(key);
      if (!accept(',') && peek() != '}') fail();
    }
    peek();
    if (at_ != text_.size()) fail();
    std::sort(seen_.begin(), seen_.end());
    if (seen_ != std::vector<std::string>{"descr", "fortran_order", "shape"}) fail();
    return header;
  }

 private:
  [[noreturn]] void fail() const {
    reject_npy(path_, "its header is '" + printable_name(text_.substr(0, kShown)) +
                          (text_.size() > kShown ? "…'" : "'") +
                          ", expected {'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}");
  }

  // The next character that is no blank; '\0' at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }

  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail();
    const size_t begin = at_ + 1, end = text_.find(quote, begin);
    if (end == std::string_view::npos) fail();
    at_ = end + 1;
    return std::string(text_.substr(begin, end - begin));
  }

  std::string descr() {
    if (peek() == '[') reject_npy(path_, "it has a structured type; save one of its fields");
    return string();
  }

  void fortran_order() {
    peek();
    const std::string_view rest = text_.substr(at_);
    if (rest.substr(0, 4) == "True") reject_npy(path_, "it is in Fortran order; save np.ascontiguousarray(a)");
    if (rest.substr(0, 5) != "False") fail();
    at_ += 5;
  }

  int64_t size() {
    const size_t begin = at_;
    int64_t value = 0;
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    bool too_large = false;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const int digit = text_[at_] - '0';
      too_large = too_large || value > (kMost - digit) / 10;
      if (!too_large) value = value * 10 + digit;
    }
    if (at_ == begin) fail();
    const std::string written(text_.substr(begin, std::min(at_ - begin, kShown)));
    if (too_large || value == 0)
      reject_npy(path_, "a size in its shape is " + written + ", expected 1 to " + std::to_string(kMost));
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2's long
    return value;
  }

  void shape(NpyHeader* header) {
    header->shape.clear();
    header->values = 1;
    expect('(');
    size_t dimensions = 0;
    while (!accept(')')) {
      peek();
      const int64_t value = size();
      if (++dimensions <= kMostDimensions) header->shape.push_back(value);
      // Checked against the file's size by the caller: that it fits is enough here.
      if (header->values > std::numeric_limits<int64_t>::max() / value)
        reject_npy(path_, "its shape has more values than any file holds");
      header->values *= value;
      if (!accept(',') && peek() != ')') fail();
    }
    if (dimensions > kMostDimensions)
      reject_npy(path_, "its shape has " + std::to_string(dimensions) + " dimensions, expected at most " +
                            std::to_string(kMostDimensions));
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
  std::vector<std::string> seen_;
};

}  // namespace

void reject_npy(const std::string& path, const std::string& why) {
  throw DataError(path + " is no .npy array that can be read: " + why);
}

NpyHeader parse_npy_header(std::string_view begin, const std::string& path) {
  if (begin.substr(0, kMagic.size()) != kMagic || begin.size() < 10)
    reject_npy(path, "it does not start with \\x93NUMPY and a header");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(begin[i]); };
  const int version = byte(6);
  if (version < 1 || version > 3)
    reject_npy(path, "its format has version " + std::to_string(version) + ", expected 1 to 3");
  const size_t start = version == 1 ? 10 : 12;
  if (begin.size() < start) reject_npy(path, "its header is cut off");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= static_cast<size_t>(byte(10)) << 16 | static_cast<size_t>(byte(11)) << 24;
  if (length > static_cast<size_t>(kMostNpyHeader) - start)
    reject_npy(path, "its header has " + std::to_string(length) + " bytes, expected at most " +
                         std::to_string(static_cast<size_t>(kMostNpyHeader) - start));
  if (begin.size() < start + length) reject_npy(path, "its header is cut off");
  NpyHeader header = HeaderParser(begin.substr(start, length), path).parse();
  header.data_at = static_cast<int64_t>(start + length);
  return header;
}

}  // namespace mox::cli
