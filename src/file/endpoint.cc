#include "file/endpoint.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "base/url.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

// Without "user:password@".
std::string without_user(const std::string& text) {
  const size_t begin = text.size() - split_url(text).rest.size();
  const size_t at = text.rfind('@');
  return at == std::string::npos || at < begin ? text : text.substr(0, begin) + "***" + text.substr(at);
}

[[noreturn]] void throw_bad(const std::string& name, const std::string& text, const std::string& problem) {
  throw InvalidArgumentError(name + " is '" + without_user(text) + "': " + problem +
                             "; expected host, host:port or http(s)://host:port");
}

bool is_host(const std::string& host) {
  if (host.empty()) return false;
  if (host.front() == '[')
    return host.size() > 2 && host.back() == ']' && host.find_first_not_of("0123456789abcdef:.%", 1) == host.size() - 1;
  return std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.' || c == '_'; });
}

}  // namespace

Endpoint parse_endpoint(const std::string& name, const std::string& given) {
  const std::string text = trimmed(given);
  Endpoint result;
  if (text.empty()) return result;
  const auto [scheme, rest] = split_url(text);
  std::string host(rest);
  if (!scheme.empty()) {
    const std::string which = lower_case(scheme);
    if (which != "http" && which != "https") throw_bad(name, text, "the scheme '" + which + "' is no store's");
    result.is_secure = which == "https";
  }
  if (host.find('@') != std::string::npos)
    throw_bad(name, text, "a user and a password have no place here: give ak and sk");
  if (host.find_first_of("?#") != std::string::npos) throw_bad(name, text, "it has a query");
  while (!host.empty() && host.back() == '/') host.pop_back();
  if (const size_t slash = host.find('/'); slash != std::string::npos)
    throw_bad(name, text, "it has the path '" + host.substr(slash) + "', and stores below a path are not offered");
  host = lower_case(host);
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string::npos && host.find(']', colon) == std::string::npos;
  if (!is_host(has_port ? host.substr(0, colon) : host)) throw_bad(name, text, "it has no host's name");
  if (has_port) {
    const int port = parse_whole<int>(std::string_view(host).substr(colon + 1)).value_or(0);
    if (port < 1 || port > 65535) throw_bad(name, text, "the port '" + host.substr(colon + 1) + "' is not in 1..65535");
    host = host.substr(0, colon + 1) + std::to_string(port);
  }
  result.host = host;
  return result;
}

std::string trimmed_word(const std::string& name, const std::string& text) {
  const std::string word = trimmed(text);
  for (const char c : word)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw InvalidArgumentError(name + " has a control character in it (value not shown): expected one line of text");
  return word;
}

}  // namespace mox::file
