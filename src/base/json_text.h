// The parser and the writer of nlohmann::json, compiled once: as templates they cost every file that calls them 1.6 s.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "moxing/export.h"

namespace mox {

// Throws nlohmann::json::parse_error; without exceptions, the result says is_discarded().
MOX_EXPORT nlohmann::json parse_json(const std::string& text, bool allow_exceptions = true);
// The same; objects keep the order of their keys.
MOX_EXPORT nlohmann::ordered_json parse_ordered_json(const std::string& text, bool allow_exceptions = true);

// Members of an object that came from a file: "" and `otherwise` where they are missing or of another type.
template <typename Json>
std::string text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->template get<std::string>() : std::string();
}
template <typename Json>
double number_member(const Json& object, const char* name, double otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->template get<double>() : otherwise;
}

// What such an exception says, without the library's own number of it.
MOX_EXPORT std::string json_problem(const nlohmann::json::exception& error);

// `indent` -1: one line. Bytes that are no UTF-8 are replaced: a file's name may have any.
MOX_EXPORT std::string json_text(const nlohmann::json& value, int indent = -1);
MOX_EXPORT std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace mox
