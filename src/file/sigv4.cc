#include "file/sigv4.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/mutex.h"
#include "file/checksum.h"

namespace mox::file {
namespace {

// Outer white space goes, inner runs become one space.
std::string collapse_spaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t';
    if (!space) result += c;
    if (space && !result.empty() && result.back() != ' ') result += ' ';
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// Derived from the secret, the day and the region: the same for every request of a day.
std::string signing_key(const Credentials& credentials, const std::string& day, const std::string& service) {
  static Mutex mu;
  // Never destroyed: background threads may still sign at exit.
  static auto& cached_for MOX_GUARDED_BY(mu) = *new std::string;
  static auto& cached MOX_GUARDED_BY(mu) = *new std::string;
  const std::string wanted = credentials.sk + "\n" + day + "\n" + credentials.region + "\n" + service;
  MutexLock lock(mu);
  if (wanted != cached_for) {
    const std::string date_key = hmac_sha256("AWS4" + credentials.sk, day);
    const std::string region_key = hmac_sha256(date_key, credentials.region);
    cached = hmac_sha256(hmac_sha256(region_key, service), "aws4_request");
    cached_for = wanted;
  }
  return cached;
}

std::string scope_of(const SignInput& input, const std::string& region) {
  return input.amz_date.substr(0, 8) + "/" + region + "/" + input.service + "/aws4_request";
}

}  // namespace

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size() + 16);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      result += c;
    } else {
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

std::string encode_query(const Query& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : query)
    encoded.emplace_back(percent_encode(name, false), percent_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string result;
  for (const auto& [name, value] : encoded) result += (result.empty() ? "" : "&") + name + "=" + value;
  return result;
}

std::string canonical_request(const SignInput& input, std::string* signed_headers) {
  Headers headers = input.headers;
  headers.emplace_back("host", input.host);
  std::sort(headers.begin(), headers.end());
  std::string lines, names;
  for (const auto& [name, value] : headers) {
    lines += name + ":" + collapse_spaces(value) + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  if (signed_headers) *signed_headers = names;
  return input.method + "\n" + percent_encode(input.path, true) + "\n" + encode_query(input.query) + "\n" + lines +
         "\n" + names + "\n" + input.payload_hash;
}

std::string string_to_sign(const SignInput& input, const std::string& region, const std::string& canonical) {
  return "AWS4-HMAC-SHA256\n" + input.amz_date + "\n" + scope_of(input, region) + "\n" + hex_sha256(canonical);
}

std::string authorization(const SignInput& input, const Credentials& credentials) {
  std::string names;
  const std::string canonical = canonical_request(input, &names);
  const std::string text = string_to_sign(input, credentials.region, canonical);
  const std::string key = signing_key(credentials, input.amz_date.substr(0, 8), input.service);
  return "AWS4-HMAC-SHA256 Credential=" + credentials.ak + "/" + scope_of(input, credentials.region) +
         ",SignedHeaders=" + names + ",Signature=" + hex_encode(hmac_sha256(key, text));
}

std::string amz_date_now(long skew_seconds) {
  const time_t now = std::time(nullptr) + skew_seconds;
  std::tm parts;
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

}  // namespace mox::file
