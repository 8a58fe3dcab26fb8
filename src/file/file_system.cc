#include "file/file_system.h"

#include <algorithm>
#include <cerrno>

#include "base/mutex.h"
#include "base/registry.h"
#include "file/local_file_system.h"
#include "file/s3_file_system.h"

namespace mox::file {
namespace {

// Never destroyed: background threads may still read at exit.
Registry<std::unique_ptr<FileSystem>>& registry() {
  static auto* all = [] {
    auto* filling = new Registry<std::unique_ptr<FileSystem>>("file system for the scheme");
    for (const char* scheme : {"s3", "obs"}) filling->add(scheme, std::make_unique<S3FileSystem>(), kBuiltIn);
    return filling;
  }();
  return *all;
}

struct Watchers {
  Mutex mu;
  std::vector<std::function<void(const std::string&)>> all MOX_GUARDED_BY(mu);
};

Watchers& watchers() {
  static auto* watchers = new Watchers;
  return *watchers;
}

}  // namespace

FileSystem& file_system(const Location& location) {
  static auto* local = new LocalFileSystem;
  if (location.is_local()) return *local;
  const auto* found = registry().find(location.scheme);
  if (!found) throw InvalidArgumentError("path '" + location.str() + "': nothing serves '" + location.scheme + "'");
  return **found;
}

Stat need_stat(const char* operation, const Location& location) {
  if (auto found = file_system(location).stat(location)) return *found;
  throw MoxFileNotExistsException(std::string(operation) + " '" + location.str() + "': no such file or folder");
}

void register_file_system(const std::string& scheme, std::unique_ptr<FileSystem> storage) {
  if (!storage) throw InvalidArgumentError("register_file_system('" + scheme + "'): the file system is null");
  if (scheme.empty() || scheme_of(scheme + "://") != scheme)
    throw InvalidArgumentError("register_file_system('" + scheme +
                               "'): a scheme has lower-case letters, digits, '+' and '-'");
  if (scheme == "file") refuse_second("file system for the scheme", scheme, kBuiltIn, registering_party());
  Watchers& watching = watchers();
  MutexLock lock(watching.mu);
  registry().add(scheme, std::move(storage));
  for (const auto& visit : watching.all) visit(scheme);
}

std::vector<std::string> file_system_schemes() { return registry().names(); }

void watch_file_systems(std::function<void(const std::string&)> visit) {
  Watchers& watching = watchers();
  MutexLock lock(watching.mu);
  for (const std::string& scheme : file_system_schemes()) visit(scheme);
  watching.all.push_back(std::move(visit));
}

bool is_remote(const std::string& path) {
  const std::string scheme = scheme_of(path);
  if (scheme.empty() || scheme == "file") return false;
  const std::vector<std::string> known = file_system_schemes();
  return std::find(known.begin(), known.end(), scheme) != known.end();
}

Stream::~Stream() = default;
FileSystem::~FileSystem() = default;

void FileSystem::read_to(const Location& location, const std::function<char*(int64_t)>& allocate) {
  if (need_stat("read", location).is_directory)
    throw OsError(EISDIR, "read '" + location.str() + "': this names a folder, not a file");
  const auto in = open(location, parse_mode("rb"));
  const int64_t size = in->size();
  const int64_t got = in->read(allocate(size), size);
  in->close();
  if (got != size)
    throw MoxFileReadException("read '" + location.str() + "': the file ended after " + std::to_string(got) + " of " +
                                   std::to_string(size) + " bytes",
                               {});
}

void FileSystem::write(const Location& location, std::string_view data) {
  const auto out = open(location, parse_mode("wb"));
  out->write(data.data(), static_cast<int64_t>(data.size()));
  out->close();
}

void FileSystem::append(const Location& location, std::string_view data) {
  const auto out = open(location, parse_mode("ab"));
  out->write(data.data(), static_cast<int64_t>(data.size()));
  out->close();
}

bool FileSystem::rename(const Location&, const Location&) { return false; }

}  // namespace mox::file
