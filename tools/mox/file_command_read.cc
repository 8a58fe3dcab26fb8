// mox file ls, cat, stat, du: what only reads.
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "file_command.h"
#include "file_command_common.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"

namespace mox::cli {
namespace {

using nlohmann::json;

// Names are bytes; what is no UTF-8 in them shows as U+FFFD rather than ending the listing.
json to_json(const std::string& path, const file::Stat& st) {
  json value = {{"path", path},
                {"type", st.is_directory ? "folder" : "file"},
                {"length", st.length},
                {"mtime_nsec", st.mtime_nsec}};
  if (!st.etag.empty()) value["etag"] = st.etag;
  return value;
}

void print_entry(const file::DirEntry& entry, bool as_json, bool detailed) {
  if (as_json) {
    json value = to_json(entry.path, entry.stat);
    value["name"] = entry.name;
    fmt::print("{}\n", json_text(value));
    return;
  }
  const std::string name = entry.is_dir() ? entry.name + "/" : entry.name;
  if (!detailed) {
    std::fwrite(name.data(), 1, name.size(), stdout);
    std::fputc('\n', stdout);
  } else {
    fmt::print("{:>14}  {:19}  {}\n", entry.is_dir() ? "-" : std::to_string(entry.stat.length),
               entry.stat.mtime_nsec == 0 ? "" : time_text(entry.stat.mtime_nsec), name);
  }
}

}  // namespace

int for_each_path(const char* command, const std::vector<std::string>& paths,
                  const std::function<void(const std::string&)>& work) {
  int code = kDone;
  for (const std::string& path : paths) {
    try {
      work(path);
    } catch (const InvalidArgumentError& e) {
      std::fprintf(stderr, "mox file %s: %s\n", command, e.what());
      code = kUsage;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "mox file %s: %s\n", command, e.what());
      if (code == kDone) code = kFailed;
    }
  }
  return code;
}

std::string time_text(int64_t mtime_nsec) {
  const time_t seconds = static_cast<time_t>(mtime_nsec / 1000000000);
  std::tm parts;
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

int file_ls(const std::vector<std::string>& args) {
  CommandLine app("List folders. Example: mox file ls -l s3://bucket/data", "mox file ls");
  std::vector<std::string> paths;
  bool recursive = false, detailed = false, as_json = false;
  app.option("PATH", paths, "folders or files; default: the current folder");
  app.flag("-r,--recursive", recursive, "all that lies below");
  app.flag("-l,--long", detailed, "size and time, too");
  app.flag("--json", as_json, "one JSON object a line: path, name, type, length, mtime_nsec");
  if (const int code = app.parse(args); code >= 0) return code;
  if (paths.empty()) paths.push_back(".");
  return for_each_path("ls", paths, [&](const std::string& path) {
    const file::Stat st = file::stat(path);
    if (!st.is_directory && !file::is_directory(path)) {
      print_entry({path, path, st}, as_json, detailed);
      return;
    }
    file::list_each(path, {.recursive = recursive}, [&](const file::DirEntry& entry) {
      print_entry(entry, as_json, detailed);
      return std::ferror(stdout) == 0;
    });
  });
}

int file_cat(const std::vector<std::string>& args) {
  CommandLine app("Write files to standard output. Example: mox file cat s3://bucket/log.txt", "mox file cat");
  std::vector<std::string> paths;
  app.option("PATH", paths, "files").required();
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("cat", paths, [&](const std::string& path) {
    file::File in(path, "rb");
    std::string buffer(1 << 20, '\0');
    while (const int64_t got = in.read_some(buffer.data(), static_cast<int64_t>(buffer.size())))
      if (std::fwrite(buffer.data(), 1, static_cast<size_t>(got), stdout) != static_cast<size_t>(got))
        throw Error("standard output cannot take more: is the disk full or the pipe closed?");
    std::fflush(stdout);
  });
}

int file_stat(const std::vector<std::string>& args) {
  CommandLine app("Tell size, time and kind. Example: mox file stat --json s3://bucket/a.bin", "mox file stat");
  std::vector<std::string> paths;
  bool as_json = false;
  app.option("PATH", paths, "files or folders").required();
  app.flag("--json", as_json, "one JSON object a line");
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("stat", paths, [&](const std::string& path) {
    const file::Stat st = file::stat(path);
    if (as_json) {
      fmt::print("{}\n", json_text(to_json(path, st)));
    } else {
      fmt::print("{}\n  type   {}\n  length {}\n", path, st.is_directory ? "folder" : "file", st.length);
      if (st.mtime_nsec != 0) fmt::print("  mtime  {}\n", time_text(st.mtime_nsec));
      if (!st.etag.empty()) fmt::print("  etag   {}\n", st.etag);
    }
  });
}

int file_du(const std::vector<std::string>& args) {
  CommandLine app("Add up the sizes of all files below. Example: mox file du s3://bucket/data", "mox file du");
  std::vector<std::string> paths;
  bool as_json = false;
  app.option("PATH", paths, "files or folders").required();
  app.flag("--json", as_json, "one JSON object a line: path, bytes, files");
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("du", paths, [&](const std::string& path) {
    int64_t bytes = 0, files = 0;
    if (file::is_directory(path)) {
      file::list_each(path, {.recursive = true, .skip_dir = true}, [&](const file::DirEntry& entry) {
        bytes += entry.stat.length;
        ++files;
        return true;
      });
    } else {
      bytes = file::stat(path).length;
      files = 1;
    }
    if (as_json) {
      fmt::print("{}\n", json_text(json{{"path", path}, {"bytes", bytes}, {"files", files}}));
    } else {
      fmt::print("{}\t{} files\t{}\n", bytes, files, path);
    }
  });
}

}  // namespace mox::cli
