#include "data/pipeline_runner.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace mox::test {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "mox_data_XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

std::string TempDir::write(const std::string& name, const std::string& content) const {
  const std::filesystem::path full = path(name);
  std::filesystem::create_directories(full.parent_path());
  std::ofstream(full, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  return full.string();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace mox::test
