// mox file: a table of subcommands. Reading ones are in file_command_read.cc, changing ones in file_command_write.cc.
#include "file_command.h"

#include <malloc.h>

#include <cstdio>

#include "command.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

constexpr Command kFileCommands[] = {
    {"ls", "list a folder", file_ls},
    {"cat", "write files to standard output", file_cat},
    {"cp", "copy files and folders", file_cp},
    {"sync", "copy what differs", file_sync},
    {"mv", "rename or move", file_mv},
    {"rm", "remove", file_rm},
    {"mkdir", "make a folder or a bucket", file_mkdir},
    {"stat", "tell size, time and kind", file_stat},
    {"du", "add up sizes", file_du},
    {"append", "add standard input or a file to the end of a file", file_append},
    {"completion", "the same as mox completion", run_completion},
};

void print_help(std::FILE* out) {
  std::fputs(
      "Usage: mox file COMMAND [OPTIONS] PATH...\n\nPaths are local or s3://bucket/key (obs:// is the same), in any "
      "mix.\n\nCommands:\n",
      out);
  for (const Command& c : kFileCommands) std::fprintf(out, "  %-11s %s\n", c.name, c.summary);
  std::fputs(
      "\nExamples:\n"
      "  mox file ls -l s3://bucket/data\n"
      "  mox file cp -r ./data s3://bucket/data\n"
      "  mox file sync s3://bucket/data ./data\n"
      "  mox file cat s3://bucket/log.txt | less\n"
      "\nThe store is set by the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION\n"
      "(or MOX_SERVER, MOX_AK, MOX_SK, …). `mox file COMMAND --help` tells more.\n"
      "Exit code: 0 done, 1 something failed (each is named), 2 wrong usage.\n",
      out);
}

}  // namespace

int run_file(const std::vector<std::string>& args) {
  ::mallopt(M_ARENA_MAX, 2);  // the threads of a copy allocate seldom: a heap each would only hold memory
  if (args.empty()) {
    print_help(stderr);
    return kUsage;
  }
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_help(stdout);
    return kDone;
  }
  for (const Command& command : kFileCommands)
    if (args[0] == command.name) return command.run({args.begin() + 1, args.end()});
  std::string known;
  for (const Command& c : kFileCommands) known += std::string(" ") + c.name;
  throw InvalidArgumentError("unknown command '" + args[0] + "'; there are:" + known);
}

}  // namespace mox::cli
