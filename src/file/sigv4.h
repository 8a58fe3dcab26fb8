// AWS Signature Version 4, as the specification says it; curl's own is wrong for several keys and queries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mox::file {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case
using Query = std::vector<std::pair<std::string, std::string>>;    // decoded names and values

struct Credentials {
  std::string ak, sk, token, region;
};

// What is signed. `path` is decoded; it is encoded here as it must be sent.
struct SignInput {
  std::string method;
  std::string host;
  std::string path;  // begins with '/'
  Query query;
  Headers headers;           // further headers to sign
  std::string payload_hash;  // hex SHA-256, or kUnsignedPayload
  std::string amz_date;      // 20130524T000000Z
  std::string service = "s3";
};

inline constexpr char kUnsignedPayload[] = "UNSIGNED-PAYLOAD";
inline constexpr char kEmptyPayload[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// All bytes but A-Z a-z 0-9 - . _ ~ become %XX; '/' stays when keep_slash.
std::string percent_encode(std::string_view text, bool keep_slash);
// What percent_encode made.
std::string percent_decode(std::string_view text);
// "a=1&b=2", sorted as the canonical request wants it.
std::string encode_query(const Query& query);

std::string canonical_request(const SignInput& input, std::string* signed_headers);
std::string string_to_sign(const SignInput& input, const std::string& region, const std::string& canonical);
// The Authorization header's value.
std::string authorization(const SignInput& input, const Credentials& credentials);

// The current time shifted by `skew_seconds`, as amz_date.
std::string amz_date_now(long skew_seconds);

}  // namespace mox::file
