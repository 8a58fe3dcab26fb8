#include "file/stream.h"
#include "moxing/error.h"

namespace mox::file {

OpenMode parse_mode(const std::string& mode) {
  OpenMode result;
  char kind = 0;
  bool plus = false, text = false, valid = true;
  for (const char c : mode) {
    if (c == 'r' || c == 'w' || c == 'a') {
      valid = valid && kind == 0;
      kind = c;
    } else if (c == '+') {
      valid = valid && !plus;
      plus = true;
    } else if (c == 'b') {
      valid = valid && !result.binary;
      result.binary = true;
    } else if (c == 't') {
      valid = valid && !text;
      text = true;
    } else {
      valid = false;
    }
  }
  if (!valid || kind == 0 || (text && result.binary))
    throw InvalidArgumentError("mode '" + mode +
                               "' is not known; use r, w, a, r+, w+ or a+, with b (bytes) or t (text) in any place");
  result.read = kind == 'r' || plus;
  result.write = kind != 'r' || plus;
  result.append = kind == 'a';
  result.truncate = kind == 'w';
  result.create = kind != 'r';
  return result;
}

}  // namespace mox::file
