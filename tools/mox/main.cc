// mox: one program, a command table.
#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/printable.h"
#include "command.h"
#include "moxing/error.h"
#include "moxing/version.h"
#include "output.h"

namespace {

using mox::cli::Command;

constexpr Command kCommands[] = {
    {"train", "train a built-in network on a data set", nullptr},
    {"eval", "evaluate a checkpoint", nullptr},
    {"predict", "classify images with a checkpoint", nullptr},
    {"report", "write one HTML page about a run", nullptr},
    {"export", "export a checkpoint for TF-Serving", nullptr},
    {"nets", "list the built-in networks, or show one", nullptr},
    {"lr", "show or draw a learning rate strategy", nullptr},
    {"data", "convert, split, stat and preview data sets", nullptr},
    {"launch", "start the processes of a cluster, here or by ssh", mox::cli::run_launch, true},
    {"bench", "measure trainings, data sets, and the exchange of a cluster", mox::cli::run_bench},
    {"convert", "make a checkpoint of weights of Keras, PyTorch or TF-slim", mox::cli::run_convert, true},
    {"script", "run a TensorFlow 1 script of MoXing as it is", mox::cli::run_script, true},
    {"flags", "list flags and options, their defaults and values", mox::cli::run_flags},
    {"completion", "print a script that completes command lines in bash, zsh or fish", mox::cli::run_completion},
    {"file", "ls, cat, cp, sync, mv, rm, … on local and s3:// paths", mox::cli::run_file},
};

void print_help(std::FILE* out) {
  std::fprintf(out,
               "mox %s: train image networks; move files to and from object stores\n\nUsage: mox COMMAND "
               "[OPTIONS]\n\nCommands:\n",
               mox::version());
  for (const Command& c : kCommands) std::fprintf(out, "  %-11s %s\n", c.name, c.summary);
  std::fprintf(
      out,
      "\nEvery command takes --plugin=LIBRARY: networks, optimizers, data sets, preprocessing and file systems "
      "of your own.\n`mox COMMAND --help` tells more. `mox --version` prints the version, with --json\n"
      "also those of TensorFlow and Python, and the CPU's features.\n");
}

int run_command(const Command& command, std::vector<std::string> args) {
  try {
    mox::cli::take_plugins(command, &args);
    return command.run ? command.run(args) : mox::cli::run_engine_command(command.name, args);
  } catch (const mox::InvalidArgumentError& e) {
    std::fprintf(stderr, "mox %s: %s\n", command.name, e.what());
    return mox::cli::kUsage;
  } catch (const mox::Error& e) {
    std::fprintf(stderr, "mox %s: %s\n", command.name, e.what());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "mox %s: the memory is full\n", command.name);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mox %s: a mistake inside MoXing, please report it: %s\n", command.name,
                 mox::printable(e.what()).c_str());
  }
  return mox::cli::kFailed;
}

int run(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_help(stderr);
    return mox::cli::kUsage;
  }
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return mox::cli::kDone;
  }
  if (name == "--version" || name == "-v")
    return run_command({"--version", "", mox::cli::run_version, true},
                       {words.begin() + 1, words.end()});  // loads no plugin
  for (const Command& command : kCommands)
    if (name == command.name) return run_command(command, {words.begin() + 1, words.end()});
  std::fprintf(stderr, "mox: unknown command '%s'; there are:", mox::printable(name).c_str());
  for (const Command& c : kCommands) std::fprintf(stderr, " %s", c.name);
  std::fprintf(stderr, "\n");
  return mox::cli::kUsage;
}

}  // namespace

std::span<const Command> mox::cli::all_commands() { return kCommands; }

int main(int argc, char** argv) {
  mox::cli::prepare_output();
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const int code = run(words);
  return mox::cli::finish_output(words.empty() || words[0][0] == '-' ? "mox" : "mox " + words[0], code);
}
