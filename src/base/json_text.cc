#include "base/json_text.h"

namespace mox {

nlohmann::json parse_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::json::parse(text, nullptr, allow_exceptions);
}

nlohmann::ordered_json parse_ordered_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::ordered_json::parse(text, nullptr, allow_exceptions);
}

std::string json_problem(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const size_t end = text.rfind("[json.exception", 0) == 0 ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

std::string json_text(const nlohmann::json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace mox
