// What is chosen by name: networks, optimizers, preprocessing, data sets, file systems. A table is filled by explicit
// calls alone, MoXing's own entries when it is first asked for.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "moxing/export.h"

namespace mox {

inline constexpr char kBuiltIn[] = "MoXing";

// Who registers on this thread now: "the plugin PATH" while one is loaded, else "this program".
MOX_EXPORT std::string registering_party();

// Whether a plugin is being loaded on this thread.
MOX_EXPORT bool is_loading_plugin();

// Sets registering_party for as long as it lives.
class MOX_EXPORT RegisteringParty {
 public:
  explicit RegisteringParty(std::string party);
  ~RegisteringParty();
  RegisteringParty(const RegisteringParty&) = delete;
  RegisteringParty& operator=(const RegisteringParty&) = delete;

 private:
  std::string outer_;
};

// InvalidArgumentError unless it begins with a letter or digit and has only letters, digits, '_', '-', '.' and '+'.
MOX_EXPORT void check_registered_name(const std::string& kind, const std::string& name);
// InvalidArgumentError that names both parties.
[[noreturn]] MOX_EXPORT void refuse_second(const std::string& kind, const std::string& name, const std::string& first,
                                           const std::string& second);

// May be used from any thread. An entry stays, where it is, as long as the process.
template <typename Entry>
class Registry {
 public:
  // `kind`, "network", is for errors.
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // InvalidArgumentError for a name that cannot be one or is taken.
  void add(const std::string& name, Entry entry, const std::string& party = registering_party()) {
    check_registered_name(kind_, name);
    MutexLock lock(mu_);
    for (const auto& item : items_)
      if (item->name == name) refuse_second(kind_, name, item->party, party);
    items_.push_back(std::make_unique<const Item>(Item{name, party, std::move(entry)}));
  }

  // nullptr when there is none of that name.
  const Entry* find(const std::string& name) const {
    MutexLock lock(mu_);
    for (const auto& item : items_)
      if (item->name == name) return &item->entry;
    return nullptr;
  }

  // In the order of registration.
  std::vector<std::string> names() const {
    MutexLock lock(mu_);
    std::vector<std::string> names;
    for (const auto& item : items_) names.push_back(item->name);
    return names;
  }

 private:
  struct Item {
    std::string name, party;
    Entry entry;
  };

  const std::string kind_;
  mutable Mutex mu_;
  std::vector<std::unique_ptr<const Item>> items_ MOX_GUARDED_BY(mu_);
};

// "a, b, c".
MOX_EXPORT std::string listed(const std::vector<std::string>& names);

}  // namespace mox
