// mox file cp, sync, mv, rm, mkdir, append: what changes something.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/printable.h"
#include "base/text.h"
#include "file_command.h"
#include "file_command_common.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"

namespace mox::cli {
namespace {

using nlohmann::json;

void print_summary(const file::CopySummary& s) {
  json failed = json::array();
  for (const file::CopyFailure& failure : s.failed)
    failed.push_back({{"path", failure.path}, {"message", failure.message}});
  const json value = {{"files", s.files},     {"bytes", s.bytes},     {"skipped", s.skipped},
                      {"deleted", s.deleted}, {"seconds", s.seconds}, {"failed", failed}};
  print(json_text(value) + "\n");
}

// Several sources need a folder as destination.
std::string target_for(const std::string& src, const std::string& dst, bool several) {
  if (dst.empty()) throw InvalidArgumentError("the destination is empty; give a local path or s3://bucket/key");
  if (!several) return dst;
  std::string name = src;
  while (!name.empty() && name.back() == '/') name.pop_back();
  return dst + (dst.back() == '/' ? "" : "/") + base_name(name);
}

// The second one would take the place of the first.
void refuse_equal_names(const std::vector<std::string>& sources, const std::string& dst) {
  std::map<std::string, std::string> by_target;
  for (const std::string& src : sources) {
    const auto [found, is_new] = by_target.emplace(target_for(src, dst, sources.size() > 1), src);
    if (!is_new)
      throw InvalidArgumentError("'" + found->second + "' and '" + src + "' would both become '" + found->first +
                                 "'; copy them one after the other to different names");
  }
}

struct CopyArguments {
  std::vector<std::string> paths;  // sources, then the destination
  bool recursive = false;
  bool as_json = false;
  file::CopyOptions options;
};

void add_copy_options(CommandLine* app, CopyArguments* arguments) {
  app->option("PATHS", arguments->paths, "one or more sources, then the destination").required().expected(2, -1);
  app->number("--threads", arguments->options.threads, {0, 256}, "transfers at once").show_default();
  app->flag("--json", arguments->as_json, "print the summary as one JSON object");
}

int run_copies(const char* command, CopyArguments& arguments, bool folders,
               file::CopySummary (*work)(const std::string&, const std::string&, const file::CopyOptions&)) {
  const std::string dst = arguments.paths.back();
  arguments.paths.pop_back();
  const bool several = arguments.paths.size() > 1;
  refuse_equal_names(arguments.paths, dst);
  return for_each_path(command, arguments.paths, [&](const std::string& src) {
    if (!folders && file::stat(src).is_directory)
      throw InvalidArgumentError("'" + src + "' is a folder: add -r to copy what is in it");
    try {
      const file::CopySummary summary = work(src, target_for(src, dst, several), arguments.options);
      if (arguments.as_json) print_summary(summary);
    } catch (const file::CopyError& e) {
      if (arguments.as_json) print_summary(e.summary());
      for (const file::CopyFailure& failure : e.summary().failed)
        std::fprintf(stderr, "mox file %s: %s\n", command, printable(failure.message).c_str());
      throw Error(fmt::format("{} files failed; run the same command again: what is finished is not sent again",
                              e.summary().failed.size()));
    }
  });
}

}  // namespace

int file_cp(const std::vector<std::string>& args) {
  CommandLine app(
      "Copy files, and with -r the content of folders. Atomic at the destination, verified, resumed when it was broken "
      "off.\n"
      "Examples:\n  mox file cp a.bin s3://bucket/a.bin\n  mox file cp -r --threads 32 ./data s3://bucket/data\n"
      "  mox file cp -r --once_per_host s3://bucket/data /cache/data",
      "mox file cp");
  CopyArguments arguments;
  bool once = false;
  add_copy_options(&app, &arguments);
  app.flag("-r,--recursive", arguments.recursive, "folders: copy what is in them");
  app.flag("--once_per_host", once,
           "of several processes on this host one copies, the others wait for it; what is there already is left out");
  if (const int code = app.parse(args); code >= 0) return code;
  return run_copies("cp", arguments, arguments.recursive, once ? file::copy_once_per_host : file::copy_parallel);
}

int file_sync(const std::vector<std::string>& args) {
  CommandLine app("Copy what differs in size, time or checksum.\nExample: mox file sync s3://bucket/data ./data",
                  "mox file sync");
  CopyArguments arguments;
  add_copy_options(&app, &arguments);
  app.flag("--delete", arguments.options.delete_extra, "remove from the destination what the source lacks");
  app.flag("--bucket", arguments.options.bucket, "with --delete: the destination may be a whole bucket");
  if (const int code = app.parse(args); code >= 0) return code;
  return run_copies("sync", arguments, true,
                    [](const std::string& src, const std::string& dst, const file::CopyOptions& options) {
                      return file::sync(src, dst, options);
                    });
}

int file_mv(const std::vector<std::string>& args) {
  CommandLine app("Rename or move a file or folder; across stores too.\nExample: mox file mv a.bin s3://bucket/a.bin",
                  "mox file mv");
  std::vector<std::string> paths;
  bool bucket = false, exact = false;
  app.option("PATHS", paths, "source and destination").required().expected(2, 2);
  app.flag("-T,--no_target_folder", exact, "never into a folder that is there: go on with a move that was broken off");
  app.flag("--bucket", bucket, "a whole bucket may be meant");
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("mv", {paths[0]}, [&](const std::string& src) {
    const bool into = !exact && (file::is_directory(paths[1]) || paths[1].back() == '/');
    const bool folder = file::is_directory(src);
    const std::string target = target_for(src, paths[1], into);
    try {
      file::rename(src, target, bucket);
    } catch (const InvalidArgumentError&) {
      throw;
    } catch (const Error& e) {
      if (!folder) throw;
      // The destination may be there now, and the same command move into it.
      throw Error(std::string(e.what()) + "\nthis goes on: mox file mv -T '" + src + "' '" + target + "'");
    }
  });
}

int file_rm(const std::vector<std::string>& args) {
  CommandLine app("Remove files, and with -r folders.\nExample: mox file rm -r s3://bucket/old", "mox file rm");
  std::vector<std::string> paths;
  bool recursive = false, force = false, bucket = false;
  app.option("PATH", paths, "files or folders").required();
  app.flag("-r,--recursive", recursive, "folders with all that lies below");
  app.flag("-f,--force", force, "what is missing is no failure");
  app.flag("--bucket", bucket, "with -r: s3://bucket means the bucket, with all that is in it");
  if (const int code = app.parse(args); code >= 0) return code;
  if (recursive)
    for (const std::string& path : paths) file::check_removable(path, bucket);  // before the first one goes
  return for_each_path("rm", paths, [&](const std::string& path) {
    if (!force) {
      const file::Stat st = file::stat(path);
      if (st.is_directory && !recursive) throw InvalidArgumentError("'" + path + "' is a folder: add -r to remove it");
    }
    file::remove(path, recursive, bucket);
  });
}

int file_mkdir(const std::vector<std::string>& args) {
  CommandLine app("Make a folder; s3://bucket makes a bucket.\nExample: mox file mkdir -p s3://bucket/a/b",
                  "mox file mkdir");
  std::vector<std::string> paths;
  bool parents = false;
  app.option("PATH", paths, "folders").required();
  app.flag("-p,--parents", parents, "make parents too; what is there already is fine");
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("mkdir", paths,
                       [&](const std::string& path) { parents ? file::make_dirs(path) : file::mk_dir(path); });
}

int file_append(const std::vector<std::string>& args) {
  CommandLine app(
      "Add to the end of a file; from standard input when no source is given.\n"
      "Examples:\n  echo done | mox file append s3://bucket/log.txt\n  mox file append part2.bin s3://bucket/all.bin",
      "mox file append");
  std::vector<std::string> paths;
  app.option("PATHS", paths, "[source] destination").required().expected(1, 2);
  if (const int code = app.parse(args); code >= 0) return code;
  return for_each_path("append", {paths.back()}, [&](const std::string& dst) {
    if (paths.size() == 2) {
      file::append_remote(paths[0], dst);
      return;
    }
    if (is_same_file(STDIN_FILENO, dst))
      throw InvalidArgumentError("append '" + dst + "': refused, nothing was touched: standard input is the same file");
    file::File out(dst, "ab");
    std::string buffer(1 << 20, '\0');
    while (const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size())) {
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error("standard input cannot be read");
      out.write({buffer.data(), static_cast<size_t>(got)});
    }
    out.close();
  });
}

}  // namespace mox::cli
