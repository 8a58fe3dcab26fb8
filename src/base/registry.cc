#include "base/registry.h"

#include "moxing/error.h"

namespace mox {
namespace {

// "" while no plugin is loaded.
thread_local std::string g_party;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string registering_party() { return g_party.empty() ? "this program" : g_party; }

bool is_loading_plugin() { return !g_party.empty(); }

RegisteringParty::RegisteringParty(std::string party) : outer_(std::move(g_party)) { g_party = std::move(party); }

RegisteringParty::~RegisteringParty() { g_party = std::move(outer_); }

void check_registered_name(const std::string& kind, const std::string& name) {
  bool fits = !name.empty() && is_letter_or_digit(name[0]);
  for (const char c : name) fits = fits && (is_letter_or_digit(c) || c == '_' || c == '-' || c == '.' || c == '+');
  if (fits) return;
  throw InvalidArgumentError(registering_party() + " registers a " + kind + " '" + name +
                             "'; a name begins with a letter or digit and has letters, digits, '_', '-', '.' and '+'");
}

void refuse_second(const std::string& kind, const std::string& name, const std::string& first,
                   const std::string& second) {
  throw InvalidArgumentError(second + " registers a " + kind + " '" + name + "', but there is one of " + first +
                             " already; give the new one another name");
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace mox
