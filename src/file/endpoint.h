// What users write for a server and for keys, read strictly: what is not understood is refused by name.
#pragma once

#include <optional>
#include <string>

namespace mox::file {

struct Endpoint {
  std::string host;               // host[:port], in lower case; "" when nothing was given
  std::optional<bool> is_secure;  // by its scheme
};
// "http://host:port/", "HTTPS://host", "host:port" with white space around. `name` is what it was given as, for the
// text: "environment variable AWS_ENDPOINT_URL". InvalidArgumentError for another scheme, a path, a query, a user, a
// port that is none or characters that no host has; a password is never in the text.
Endpoint parse_endpoint(const std::string& name, const std::string& text);

// A key, token or region without the white space that files and copying leave around it. InvalidArgumentError that does
// not show the value for a control character inside: it would end a header.
std::string trimmed_word(const std::string& name, const std::string& text);

}  // namespace mox::file
