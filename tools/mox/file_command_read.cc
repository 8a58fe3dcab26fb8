// mox file ls, cat, stat, du: what only reads.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/printable.h"
#include "base/url.h"
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
    print(json_text(value) + "\n");
    return;
  }
  const std::string name = printable_name(entry.name) + (entry.is_dir() ? "/" : "");
  if (!detailed) {
    print(name + "\n");
  } else {
    print(fmt::format("{:>14}  {:19}  {}\n", entry.is_dir() ? "-" : std::to_string(entry.stat.length),
                      entry.stat.mtime_nsec == 0 ? "" : time_text(entry.stat.mtime_nsec), name));
  }
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw OutputError();
}

void print_error(const char* command, const std::exception& error) {
  std::fprintf(stderr, "mox file %s: %s\n", command, printable(error.what()).c_str());
}

int for_each_path(const char* command, const std::vector<std::string>& paths,
                  const std::function<void(const std::string&)>& work) {
  int code = kDone;
  for (const std::string& path : paths) {
    try {
      work(path);
    } catch (const InvalidArgumentError& e) {
      print_error(command, e);
      code = kUsage;
    } catch (const OutputError&) {
      if (code == kDone) code = kFailed;
    } catch (const std::exception& e) {
      print_error(command, e);
      if (code == kDone) code = kFailed;
    }
  }
  return code;
}

bool is_same_file(int fd, const std::string& path) {
  const auto [scheme, rest] = split_url(path);
  const std::string local = scheme == "file" ? std::string(rest) : path;
  struct ::stat open, named;
  return ::fstat(fd, &open) == 0 && S_ISREG(open.st_mode) && ::stat(local.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
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
      return true;
    });
  });
}

int file_cat(const std::vector<std::string>& args) {
  CommandLine app("Write files to standard output. Example: mox file cat s3://bucket/log.txt", "mox file cat");
  std::vector<std::string> paths;
  app.option("PATH", paths, "files").required();
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("cat", paths, [&](const std::string& path) {
    if (is_same_file(STDOUT_FILENO, path))
      throw Error("cat '" + path + "': refused: standard output goes into this file");
    file::File in(path, "rb");
    // Of an object that fits into memory nothing is shown before all of it is here and verified.
    constexpr int64_t kHeldBack = 64 << 20;
    const bool held_back = has_scheme(path) && in.size() <= kHeldBack;
    std::string buffer(held_back ? static_cast<size_t>(in.size()) + 1 : 1 << 20, '\0');
    while (const int64_t got = in.read_some(buffer.data(), static_cast<int64_t>(buffer.size())))
      print({buffer.data(), static_cast<size_t>(got)});
    if (std::fflush(stdout) != 0) throw OutputError();
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
      print(json_text(to_json(path, st)) + "\n");
    } else {
      print(fmt::format("{}\n  type   {}\n  length {}\n", printable_name(path), st.is_directory ? "folder" : "file",
                        st.length));
      if (st.mtime_nsec != 0) print(fmt::format("  mtime  {}\n", time_text(st.mtime_nsec)));
      if (!st.etag.empty()) print(fmt::format("  etag   {}\n", printable_name(st.etag)));
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
      print(json_text(json{{"path", path}, {"bytes", bytes}, {"files", files}}) + "\n");
    } else {
      print(fmt::format("{}\t{} files\t{}\n", bytes, files, printable_name(path)));
    }
  });
}

}  // namespace mox::cli
