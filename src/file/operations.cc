// The public functions that need one or two calls of a file system. Copies are in copy.cc, patterns in glob.cc.
#include <cerrno>
#include <cstring>

#include "file/file_system.h"
#include "file/local_file_system.h"
#include "file/path_guard.h"
#include "moxing/file.h"

namespace mox::file {
namespace {

std::string entry_name(const DirEntry& entry, bool remove_sep) {
  return entry.is_dir() && !remove_sep ? entry.name + "/" : entry.name;
}

[[noreturn]] void throw_missing_folder(const char* operation, const Location& location) {
  if (file_system(location).stat(location.as_file()))
    throw OsError(ENOTDIR, std::string(operation) + " '" + location.str() + "': this is a file, not a folder");
  throw MoxFileNotExistsException(std::string(operation) + " '" + location.str() + "': no such folder");
}

void walk_below(const Location& folder, const std::function<void(WalkEntry&)>& visit, bool topdown, bool followlinks) {
  WalkEntry entry;
  entry.dirpath = folder.str();
  FileSystem& fs = file_system(folder);
  const bool found = fs.list(folder, /*recursive=*/false, [&](DirEntry& item) {
    (item.is_dir() ? entry.dirnames : entry.filenames).push_back(item.name);
    return true;
  });
  if (!found) return;  // removed while the walk was under way
  const auto enter = [&](const std::string& name) {
    const Location below = folder.child(name);
    if (!folder.is_local() || followlinks || !is_link(below.path)) walk_below(below, visit, topdown, followlinks);
  };
  if (topdown) visit(entry);
  for (const std::string& name : entry.dirnames) enter(name);
  if (!topdown) visit(entry);
}

}  // namespace

void read_to(const std::string& url, const std::function<char*(int64_t size)>& allocate) {
  const Location location = parse_path(url);
  file_system(location).read_to(location, allocate);
}

std::string read(const std::string& url) {
  std::string data;
  read_to(url, [&](int64_t size) {
    data.resize(static_cast<size_t>(size));
    return data.data();
  });
  return data;
}

void write(const std::string& url, std::string_view data) {
  const Location location = parse_path(url);
  file_system(location).write(location, data);
}

void append(const std::string& url, std::string_view data) {
  const Location location = parse_path(url);
  file_system(location).append(location, data);
}

bool exists(const std::string& url) {
  const Location location = parse_path(url);
  return file_system(location).stat(location).has_value();
}

bool is_directory(const std::string& url) {
  const Location location = parse_path(url);
  FileSystem& fs = file_system(location);
  // A store may hold a file `x` beside a folder `x/`: both answers are yes.
  Location folder = location;
  if (!location.is_local() && !location.key.empty()) folder.key = location.folder_prefix();
  const auto found = fs.stat(folder);
  return found && found->is_directory;
}

Stat stat(const std::string& url) { return need_stat("stat", parse_path(url)); }

int64_t get_size(const std::string& url, bool recursive) {
  const Location location = parse_path(url);
  const Stat found = need_stat("get_size", location);
  if (!found.is_directory) {
    if (!recursive || location.is_local() || !is_directory(url)) return found.length;
  } else if (!recursive && !location.is_local()) {
    return 0;
  }
  int64_t total = found.length;
  file_system(location).list(location, /*recursive=*/true, [&](DirEntry& entry) {
    total += entry.stat.length;
    return true;
  });
  return total;
}

void list_each(const std::string& url, const ListOptions& options, const std::function<bool(const DirEntry&)>& visit) {
  const Location location = parse_path(url);
  const bool found = file_system(location).list(location, options.recursive, [&](DirEntry& entry) {
    if (entry.is_dir() ? options.skip_dir : options.skip_file) return true;
    entry.name = entry_name(entry, options.remove_sep);
    return visit(entry);
  });
  if (!found) throw_missing_folder("list_directory", location);
}

std::vector<std::string> list_directory(const std::string& url, const ListOptions& options) {
  std::vector<std::string> names;
  list_each(url, options, [&](const DirEntry& entry) {
    names.push_back(entry.name);
    return true;
  });
  return names;
}

std::vector<DirEntry> scan_dir(const std::string& url) {
  std::vector<DirEntry> entries;
  list_each(url, {}, [&](const DirEntry& entry) {
    entries.push_back(entry);
    return true;
  });
  return entries;
}

void walk(const std::string& url, const std::function<void(WalkEntry&)>& visit, bool topdown, bool followlinks) {
  walk_below(parse_path(url), visit, topdown, followlinks);
}

void mk_dir(const std::string& url) {
  const Location location = parse_path(url);
  file_system(location).make_folder(location, /*parents=*/false);
}

void make_dirs(const std::string& url) {
  const Location location = parse_path(url);
  file_system(location).make_folder(location, /*parents=*/true);
}

void check_removable(const std::string& url, bool bucket) {
  const Location location = parse_path(url);
  refuse_protected("remove", location, bucket, /*through_link=*/location.names_folder());
}

// The manual's table, a row for a kind of thing: the file `x` goes unless the path ends with '/', the folder `x/` goes
// when recursive. Where a store holds both, each row applies to its own.
void remove(const std::string& url, bool recursive, bool bucket) {
  const Location location = parse_path(url);
  FileSystem& fs = file_system(location);
  if (recursive || location.is_bucket()) check_removable(url, bucket);
  if (location.is_bucket() && !recursive)
    throw InvalidArgumentError("remove '" + url + "': this names a whole bucket, which goes only with recursive (-r)");
  if (!location.names_folder()) fs.remove_file(location);
  if (recursive) fs.remove_folder(location);
}

}  // namespace mox::file
