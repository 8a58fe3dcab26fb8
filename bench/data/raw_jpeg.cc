// The limit: what TensorFlow's own libjpeg-turbo decodes on one core with the files in memory, and nothing else.
// Usage: raw_jpeg DIR
#include <chrono>
#include <cstdio>
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
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& file : files)
    tensorflow::jpeg::Uncompress(file.data(), static_cast<int>(file.size()), flags, nullptr, [&](int w, int h, int c) {
      pixels.resize(static_cast<size_t>(w) * h * c);
      return pixels.data();
    });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "{\"who\": \"libjpeg-turbo, one core\", \"row\": \"decode only\", \"images\": %zu, \"images_per_s\": %.0f}\n",
      files.size(), files.size() / seconds);
}
