#include <moxing/testing/file_system_conformance.h>

void add_memory_files();

namespace mox::testing {
namespace {

std::string make_root() {
  static const bool added = (add_memory_files(), true);
  static int counter = 0;
  const std::string root = "mem://conformance-" + std::to_string(counter += added);
  file::make_dirs(root);
  return root;
}

INSTANTIATE_TEST_SUITE_P(Memory, FileSystemConformance, ::testing::Values(Storage{"memory", make_root}));

}  // namespace
}  // namespace mox::testing
