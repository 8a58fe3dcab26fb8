#include "data/decode_jpeg.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before it

// The headers of the library that is linked, not TensorFlow's.
#include <jpeglib.h>

#include "data/nearest.h"

namespace mox::data {

namespace {

// Larger images are the general decoder's, which refuses those that would fill the memory.
constexpr int64_t kMostPixels = int64_t{1} << 27;

// libjpeg leaves by longjmp: no object with a destructor may live in a function that it passes through.
struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands out its address
  std::jmp_buf place;
};

[[noreturn]] void leave(j_common_ptr info) { std::longjmp(reinterpret_cast<ErrorManager*>(info->err)->place, 1); }

// A warning is a damaged file, and the general decoder's business.
void leave_on_warning(j_common_ptr info, int level) {
  if (level < 0) leave(info);
}

// What a thread keeps from image to image.
struct Kept {
  std::vector<int64_t> rows, columns;
  std::vector<uint8_t> line;  // one row of the source, from its second byte on
};

bool is_common(const jpeg_decompress_struct& info) {
  return (info.jpeg_color_space == JCS_YCbCr || info.jpeg_color_space == JCS_GRAYSCALE) &&
         int64_t{info.image_height} * info.image_width <= kMostPixels;
}

void read_all(jpeg_decompress_struct* info, uint8_t* out) {
  const size_t stride = size_t{info->output_width} * info->output_components;
  while (info->output_scanline < info->output_height) {
    uint8_t* row = out + info->output_scanline * stride;
    jpeg_read_scanlines(info, &row, 1);
  }
}

void pass_over(jpeg_decompress_struct* info, int64_t count, uint8_t* line) {
  if (count <= 0) return;
  // Of several scans, all coefficients are in memory anyway; libjpeg's own way to skip is for the simple kind.
  if (!jpeg_has_multiple_scans(info))
    jpeg_skip_scanlines(info, static_cast<JDIMENSION>(count));
  else
    while (count-- > 0) jpeg_read_scanlines(info, &line, 1);
}

void read_nearest(jpeg_decompress_struct* info, Kept* kept, int channels, uint8_t* out) {
  const size_t stride = kept->columns.size() * static_cast<size_t>(channels);
  // Not aligned: to an aligned row libjpeg-turbo writes past the caches, and reading it here would wait for memory.
  uint8_t* line = kept->line.data() + 1;
  int64_t held = -1;
  for (int64_t row : kept->rows) {
    if (row == held) {
      std::memcpy(out, out - stride, stride);
    } else {
      pass_over(info, row - static_cast<int64_t>(info->output_scanline), line);
      jpeg_read_scanlines(info, &line, 1);
      held = row;
      if (channels == 3)
        copy_rgb_row(line, kept->columns, out);
      else
        for (size_t i = 0; i < kept->columns.size(); ++i) out[i] = line[kept->columns[i]];
    }
    out += stride;
  }
  pass_over(info, static_cast<int64_t>(info->output_height) - info->output_scanline, line);
}

bool decode(jpeg_decompress_struct* info, ErrorManager* errors, std::string_view content, const DecodeOptions& options,
            const std::function<uint8_t*(int64_t, int64_t)>& allocate, Kept* kept) {
  if (setjmp(errors->place)) return false;
  jpeg_create_decompress(info);
  jpeg_mem_src(info, reinterpret_cast<const unsigned char*>(content.data()), content.size());
  jpeg_read_header(info, TRUE);
  if (!is_common(*info)) return false;
  info->out_color_space = options.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info->dct_method = JDCT_IFAST;
  jpeg_start_decompress(info);
  const int64_t height = info->output_height, width = info->output_width;
  const bool resize = options.height > 0;
  uint8_t* out = resize ? allocate(options.height, options.width) : allocate(height, width);
  if (!out) return false;
  if (resize) {
    nearest(height, options.height, 1, &kept->rows);
    nearest(width, options.width, options.channels, &kept->columns);
    kept->line.resize(static_cast<size_t>(width * options.channels) + 2);  // and the byte after it: copy_rgb_row
    read_nearest(info, kept, options.channels, out);
  } else {
    read_all(info, out);
  }
  jpeg_finish_decompress(info);  // reads to the end: what is cut off there is a warning, too
  return true;
}

using Plan = std::function<const ResizePlan*(int64_t height, int64_t width)>;
using TakeRow = std::function<void(int32_t row, const uint8_t* pixels)>;

// libjpeg smooths colours across columns: the next ones count, too, and where a part ends it takes that for the edge.
constexpr int64_t kColumnsAround = 2;

// Decodes no other columns; returns where the rows begin then.
int64_t cut_columns(jpeg_decompress_struct* info, const ResizePlan& plan) {
  const int64_t left = std::max<int64_t>(0, plan.left - kColumnsAround);
  const int64_t right = std::min<int64_t>(info->output_width, plan.right + kColumnsAround);
  if (left == 0 && right == info->output_width) return 0;
  auto begin = static_cast<JDIMENSION>(left), width = static_cast<JDIMENSION>(right - left);
  jpeg_crop_scanline(info, &begin, &width);
  return begin;
}

bool read_rows(jpeg_decompress_struct* info, ErrorManager* errors, std::string_view content, const Plan& make_plan,
               const TakeRow& take, Kept* kept) {
  if (setjmp(errors->place)) return false;
  jpeg_create_decompress(info);
  jpeg_mem_src(info, reinterpret_cast<const unsigned char*>(content.data()), content.size());
  jpeg_read_header(info, TRUE);
  if (!is_common(*info)) return false;
  info->out_color_space = JCS_RGB;
  info->dct_method = JDCT_IFAST;
  jpeg_start_decompress(info);
  const ResizePlan* plan = make_plan(info->output_height, info->output_width);
  if (!plan) return false;
  const int64_t begin = cut_columns(info, *plan);
  kept->line.resize(size_t{info->output_width} * 3 + kRowSlack + 1);
  uint8_t* line = kept->line.data() + 1;  // see read_nearest
  for (const int32_t row : plan->needed) {
    pass_over(info, row - static_cast<int64_t>(info->output_scanline), line);
    jpeg_read_scanlines(info, &line, 1);
    take(row, line + (plan->left - begin) * 3);
  }
  return true;
}

// Runs `body` with a decompressor.
template <typename Body>
bool with_decompressor(const Body& body) {
  thread_local Kept kept;
  jpeg_decompress_struct info{};
  ErrorManager errors;
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.emit_message = leave_on_warning;
  const bool done = body(&info, &errors, &kept);
  jpeg_destroy_decompress(&info);
  return done;
}

}  // namespace

bool decode_common_jpeg(std::string_view content, const DecodeOptions& options,
                        const std::function<uint8_t*(int64_t height, int64_t width)>& allocate) {
  return with_decompressor([&](jpeg_decompress_struct* info, ErrorManager* errors, Kept* kept) {
    return decode(info, errors, content, options, allocate, kept);
  });
}

bool read_common_jpeg(std::string_view content, const Plan& plan, const TakeRow& take) {
  if (!check_whole(content, true).ok()) return false;
  return with_decompressor([&](jpeg_decompress_struct* info, ErrorManager* errors, Kept* kept) {
    return read_rows(info, errors, content, plan, take, kept);
  });
}

}  // namespace mox::data
