// mox script, mox convert: hand the process over to Python, which runs a module of the package.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "command.h"
#include "moxing/error.h"
#include "python.h"

namespace mox::cli {
namespace {

// What that Python runs: the module's main, after a look whether it is there. {0} is the command, {1} the module.
constexpr char kStart[] =
    "import importlib.util, sys\n"
    "try:\n"
    "    found = importlib.util.find_spec('{1}')\n"
    "except ImportError:\n"
    "    found = None\n"
    "if found is None:\n"
    "    sys.stderr.write(f'mox {0}: the Python {{sys.executable}} has no package {1}; install it there "
    "(pip install .), or name the Python that has it in MOX_PYTHON\\n')\n"
    "    sys.exit(1)\n"
    "from {1}.command import main\n"
    "main(sys.argv[1:])\n";

int run_python(const char* command, const char* module, const std::vector<std::string>& args) {
  const std::string python = find_python();
  add_package_of_build_tree();
  const std::string start = fmt::format(kStart, command, module);
  std::vector<const char*> words = {python.c_str(), "-c", start.c_str()};
  for (const std::string& arg : args) words.push_back(arg.c_str());
  words.push_back(nullptr);
  std::signal(SIGPIPE, SIG_DFL);  // as it was before main
  execv(python.c_str(), const_cast<char* const*>(words.data()));
  throw Error(fmt::format("cannot start {}: {}", python, std::strerror(errno)));
}

}  // namespace

int run_script(const std::vector<std::string>& args) { return run_python("script", "moxing.v1", args); }

int run_convert(const std::vector<std::string>& args) { return run_python("convert", "moxing.convert", args); }

}  // namespace mox::cli
