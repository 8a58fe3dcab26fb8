// Regular expressions (ECMAScript), compiled once: std::regex costs every file that includes it 2 to 3 s.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

class MOX_EXPORT Pattern {
 public:
  // InvalidArgumentError with what is wrong in `text`.
  explicit Pattern(const std::string& text, bool ignores_case = false);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  // Whether some part of `text` matches.
  bool found_in(const std::string& text) const;
  // Each match that is in `text`: the whole of it, then its groups.
  std::vector<std::vector<std::string>> matches(const std::string& text) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

// The entries of a comma-separated list; blanks around them and empty ones do not count.
MOX_EXPORT std::vector<std::string> split_list(const std::string& comma_separated);

}  // namespace mox
