// A photograph may be anything, too: what decode_common_jpeg takes, libjpeg takes without a warning, with the same
// pixels.
#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before it
#include <cstdlib>
#include <memory>
#include <vector>

#include "data/decode_jpeg.h"

namespace {

constexpr int64_t kMostPixels = 1 << 18;  // for speed

struct Reference {
  jpeg_error_mgr errors;  // first: libjpeg hands out its address
  std::jmp_buf place;
  jpeg_decompress_struct info{};
  std::vector<uint8_t> pixels;
};

// False: an error, or more pixels than this is for. With `header_only`, no pixels.
bool read(const uint8_t* data, size_t size, bool header_only, Reference* reference) {
  jpeg_decompress_struct& info = reference->info;
  info.err = jpeg_std_error(&reference->errors);
  reference->errors.error_exit = [](j_common_ptr of) { std::longjmp(reinterpret_cast<Reference*>(of->err)->place, 1); };
  reference->errors.output_message = [](j_common_ptr) {};
  if (setjmp(reference->place)) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if (header_only) return int64_t{info.image_width} * info.image_height <= kMostPixels;
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_IFAST;
  jpeg_start_decompress(&info);
  reference->pixels.resize(size_t{info.output_width} * info.output_height * 3);
  while (info.output_scanline < info.output_height) {
    uint8_t* row = &reference->pixels[size_t{info.output_scanline} * info.output_width * 3];
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto header = std::make_unique<Reference>();
  const bool small = read(data, size, true, header.get());
  jpeg_destroy_decompress(&header->info);
  if (!small) return 0;
  std::vector<uint8_t> pixels;
  const bool taken = mox::data::decode_common_jpeg({reinterpret_cast<const char*>(data), size}, {},
                                                   [&](int64_t height, int64_t width) {
                                                     pixels.resize(static_cast<size_t>(height * width * 3));
                                                     return pixels.data();
                                                   });
  if (taken) {
    auto reference = std::make_unique<Reference>();
    if (!read(data, size, false, reference.get()) || reference->errors.num_warnings > 0) std::abort();
    if (reference->pixels != pixels) std::abort();
    jpeg_destroy_decompress(&reference->info);
  }
  return 0;
}
