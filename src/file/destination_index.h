// What the destination of a sync holds. What the source has is taken out; the rest is what --delete removes.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "file/path.h"
#include "moxing/file.h"

namespace mox::file {

class DestinationIndex {
 public:
  explicit DestinationIndex(const Location& dst) : dst_(dst) {}
  void load();

  // The source has a file of this name: what the destination has under it.
  std::optional<Stat> take_file(const std::string& name);
  // The source has a folder of this name.
  void take_folder(const std::string& name);
  // Something that the source lacks so far has the name of this file or folder and is of the other kind, or is a file
  // with the name of a folder above it: remove_rest must run first.
  bool blocks(const std::string& name, bool is_folder) const;

  // Removes what was not taken, and never what lies behind a link; returns how many files that were. `fail` is told
  // what could not go.
  int64_t remove_rest(const std::function<void(const Location&, std::exception_ptr)>& fail);

 private:
  Location dst_;
  std::unordered_map<std::string, Stat> files_;
  std::set<std::string> folders_;
  std::set<std::string> links_;           // to folders; local only
  std::vector<std::string> temporaries_;  // paths of copies that are under way, or were; local only
  std::set<std::string> taken_links_;  // the source has a folder of this name: its files are written through the link
};

}  // namespace mox::file
