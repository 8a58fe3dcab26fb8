// The limit of augmentation: what libjpeg-turbo decodes in a CPU second of the rows and columns that random crops need,
// with the files in memory, and nothing else: no resize, no output. Prints one JSON line.
// Usage: window_jpeg ROW DIR; ROW: vgg, inception, vgg_eval, inception_eval, whole, or entropy (the last row alone).
#include <algorithm>
#include <cmath>
#include <cstdio>  // jpeglib.h needs it before it
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

// The headers of the library that is linked, not TensorFlow's.
#include <jpeglib.h>

namespace {

struct Window {
  int top, left, height, width;
};

constexpr double kOutput = 224;

Window vgg(int height, int width, bool training, std::mt19937* random) {
  const double side = training ? 256 + (*random)() % 257 : 256, scale = side / std::min(height, width);
  const int length = std::min({static_cast<int>(std::ceil(kOutput / scale)) + 1, height, width});
  const auto corner = [&](int room) { return training ? static_cast<int>((*random)() % (room + 1)) : room / 2; };
  return {corner(height - length), corner(width - length), length, length};
}

Window inception(int height, int width, bool training, std::mt19937* random) {
  if (!training) return {height / 16, width / 16, height - height / 8, width - width / 8};
  std::uniform_real_distribution<double> aspects(0.75, 1.33), areas(0.05, 1);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const double aspect = aspects(*random), area = std::max(areas(*random), 0.1) * height * width;
    const int h = static_cast<int>(std::sqrt(area / aspect)), w = static_cast<int>(h * aspect);
    if (h < 1 || w < 1 || h > height || w > width) continue;
    return {static_cast<int>((*random)() % (height - h + 1)), static_cast<int>((*random)() % (width - w + 1)), h, w};
  }
  return {0, 0, height, width};
}

Window window_of(const std::string& row, int height, int width, std::mt19937* random) {
  if (row.rfind("vgg", 0) == 0) return vgg(height, width, row == "vgg", random);
  if (row.rfind("inception", 0) == 0) return inception(height, width, row == "inception", random);
  return row == "entropy" ? Window{height - 1, 0, 1, width} : Window{0, 0, height, width};
}

void decode(const std::string& file, const std::string& row, std::mt19937* random, std::vector<uint8_t>* line) {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_IFAST;
  jpeg_start_decompress(&info);
  const Window window =
      window_of(row, static_cast<int>(info.output_height), static_cast<int>(info.output_width), random);
  auto left = static_cast<JDIMENSION>(window.left), width = static_cast<JDIMENSION>(window.width);
  if (width > 0 && width < info.output_width) jpeg_crop_scanline(&info, &left, &width);
  line->resize(info.output_width * 3 + 1);
  uint8_t* pixels = line->data() + 1;  // an aligned row goes past the caches
  if (window.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(window.top));
  for (int y = 0; y < window.height; ++y) jpeg_read_scanlines(&info, &pixels, 1);
  jpeg_destroy_decompress(&info);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::vector<std::string> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(argv[2])) {
    if (!item.is_regular_file()) continue;
    std::ifstream file(item.path(), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::mt19937 random(1);
  std::vector<uint8_t> line;
  const std::clock_t begin = std::clock();
  for (const auto& file : files) decode(file, argv[1], &random, &line);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("{\"images\": %zu, \"images_per_cpu_second\": %.0f}\n", files.size(), files.size() / seconds);
}
