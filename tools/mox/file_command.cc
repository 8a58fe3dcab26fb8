#include "command.h"
#include "moxing/error.h"

namespace mox::cli {

int run_file(const std::vector<std::string>& args) {
  throw InvalidArgumentError("file operations are built in their own branch");
}

}  // namespace mox::cli
