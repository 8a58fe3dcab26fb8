// The limit: what TensorFlow's own libjpeg-turbo decodes in a CPU second with the files in memory, and nothing else.
// Usage: raw_jpeg DIR
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tensorflow/core/lib/jpeg/jpeg_mem.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<std::string> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (!item.is_regular_file()) continue;
    std::ifstream file(item.path(), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  tensorflow::jpeg::UncompressFlags flags;
  flags.components = 3;
  flags.dct_method = JDCT_IFAST;
  std::vector<uint8_t> pixels;
  const std::clock_t begin = std::clock();
  for (const auto& file : files)
    tensorflow::jpeg::Uncompress(file.data(), static_cast<int>(file.size()), flags, nullptr, [&](int w, int h, int c) {
      pixels.resize(static_cast<size_t>(w) * h * c);
      return pixels.data();
    });
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("{\"images\": %zu, \"images_per_cpu_second\": %.0f}\n", files.size(), files.size() / seconds);
}
