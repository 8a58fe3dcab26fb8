#include "data/decode_image.h"

#include <cstring>
#include <memory>
#include <vector>

#include "data/decode_jpeg.h"
#include "data/nearest.h"
#include "data/pixel_file.h"
#include "tensorflow/core/lib/gif/gif_io.h"
#include "tensorflow/core/lib/jpeg/jpeg_mem.h"
#include "tensorflow/core/lib/png/png_io.h"
#include "tensorflow/core/lib/webp/webp_io.h"

namespace mox::data {

namespace {

using Allocate = std::function<uint8_t*(int64_t height, int64_t width)>;

// As in TensorFlow's own JPEG reader: a damaged header must not ask for all the memory there is.
constexpr int64_t kMostBytes = int64_t{1} << 29;
// A thread keeps a buffer of that size for its next image.
constexpr size_t kKeptBytes = size_t{32} << 20;

// Pixels of one image, in a buffer that is used again by the thread.
struct Pixels {
  int64_t height = 0;
  int64_t width = 0;
  int channels = 0;
  std::vector<uint8_t> bytes;

  // Null when that is too much.
  uint8_t* resize(int64_t new_height, int64_t new_width, int new_channels) {
    height = new_height;
    width = new_width;
    channels = new_channels;
    if (height <= 0 || width <= 0 || height > kMostBytes / (width * channels)) return nullptr;
    const auto size = static_cast<size_t>(height * width * channels);
    if (bytes.size() < size + 1) bytes.resize(size + 1);  // copy_rgb_row may read one byte more
    return bytes.data();
  }
  absl::Status too_large() const {
    return absl::DataLossError("the header tells of " + std::to_string(width) + "x" + std::to_string(height) +
                               " pixels, more than " + std::to_string(kMostBytes >> 20) + " MiB of them");
  }
  void release_if_large() {
    if (bytes.size() > kKeptBytes) std::vector<uint8_t>().swap(bytes);
  }
};

absl::Status broken(const std::string& what, size_t size) {
  return absl::DataLossError(what + " (" + std::to_string(size) + " bytes)");
}

absl::Status decode_jpeg(std::string_view content, int channels, Pixels* out) {
  tensorflow::jpeg::UncompressFlags flags;
  flags.components = channels;
  flags.dct_method = JDCT_IFAST;
  int64_t warnings = 0;
  const uint8_t* done =
      tensorflow::jpeg::Uncompress(content.data(), static_cast<int>(content.size()), flags, &warnings,
                                   [&](int width, int height, int c) { return out->resize(height, width, c); });
  return done ? absl::OkStatus() : broken("the JPEG is damaged or cut off", content.size());
}

absl::Status decode_png(std::string_view content, int channels, Pixels* out) {
  tensorflow::png::DecodeContext context;
  if (!tensorflow::png::CommonInitDecode(content, channels, 8, &context))
    return broken("the PNG's header is damaged or cut off", content.size());
  uint8_t* bytes = out->resize(context.height, context.width, channels);
  if (!bytes) {
    tensorflow::png::CommonFreeDecode(&context);
    return out->too_large();
  }
  if (!tensorflow::png::CommonFinishDecode(bytes, static_cast<int>(context.width) * channels, &context))
    return broken("the PNG is damaged or cut off", content.size());
  return absl::OkStatus();
}

absl::Status decode_gif(std::string_view content, Pixels* out) {
  std::string error;
  const uint8_t* done = tensorflow::gif::Decode(
      content.data(), static_cast<int>(content.size()),
      [&](int, int width, int height, int channels) { return out->resize(height, width, channels); }, &error,
      /*expand_animations=*/false);
  return done ? absl::OkStatus() : broken("the GIF is damaged or cut off: " + error, content.size());
}

absl::Status decode_webp(std::string_view content, Pixels* out) {
  int width = 0, height = 0, channels = 0;
  bool animated = false;
  if (!tensorflow::webp::DecodeWebPHeader(content, &width, &height, &channels, &animated))
    return broken("the WebP's header is damaged or cut off", content.size());
  if (animated) {
    std::string error;
    const uint8_t* done = tensorflow::webp::DecodeWebPAnimation(
        content, [&](int, int w, int h, int c) { return out->resize(h, w, c); }, &error, /*expand_animations=*/false);
    return done ? absl::OkStatus() : broken("the WebP is damaged or cut off: " + error, content.size());
  }
  uint8_t* bytes = out->resize(height, width, channels);
  if (!bytes) return out->too_large();
  if (!tensorflow::webp::DecodeWebPImage(content, bytes, width, height, channels))
    return broken("the WebP is damaged or cut off", content.size());
  return absl::OkStatus();
}

absl::Status not_an_image(std::string_view content) {
  if (content.empty()) return absl::DataLossError("the file is empty, expected an image");
  std::string begin;
  for (char c : content.substr(0, 8)) begin += c >= ' ' && c <= '~' ? c : '.';
  return broken("not an image: it begins with '" + begin + "'; expected JPEG, PNG, BMP, GIF or WebP", content.size());
}

// Four channels become three.
void lay_over(int background, Pixels* image) {
  uint8_t* to = image->bytes.data();
  const uint8_t* from = to;
  for (int64_t i = 0; i < image->height * image->width; ++i, from += 4, to += 3) {
    const int alpha = from[3];
    for (int c = 0; c < 3; ++c)
      to[c] = static_cast<uint8_t>((from[c] * alpha + background * (255 - alpha) + 127) / 255);
  }
  image->channels = 3;
}

absl::Status decode_any(std::string_view content, int channels, Pixels* out) {
  switch (image_format(content)) {
    case ImageFormat::kJpeg:
      return decode_jpeg(content, channels, out);
    case ImageFormat::kPng:
      return decode_png(content, channels, out);
    case ImageFormat::kGif:
      return decode_gif(content, out);
    case ImageFormat::kWebp:
      return decode_webp(content, out);
    case ImageFormat::kBmp:
      return decode_bmp(content, [&](int64_t height, int64_t width) { return out->resize(height, width, 3); });
    case ImageFormat::kUnknown:
      break;
  }
  return not_an_image(content);
}

// Decoded pixels, and a byte behind them that may be read.
struct View {
  int64_t height = 0, width = 0;
  int channels = 0;
  const uint8_t* bytes = nullptr;
};

// Where output pixel (y, x) is taken from, after the EXIF orientation was undone.
struct Source {
  int64_t step_y = 0, step_x = 0, begin = 0;  // in pixels of the decoded image
  int64_t height = 0, width = 0;              // as seen by the user
};

Source source_of(const View& image, int orientation) {
  const int64_t h = image.height, w = image.width;
  switch (orientation) {
    case 2:
      return {w, -1, w - 1, h, w};  // mirrored
    case 3:
      return {-w, -1, h * w - 1, h, w};  // upside down
    case 4:
      return {-w, 1, (h - 1) * w, h, w};  // upside down, mirrored
    case 5:
      return {1, w, 0, w, h};  // transposed
    case 6:
      return {1, -w, (h - 1) * w, w, h};  // turned: rotate clockwise
    case 7:
      return {-1, -w, h * w - 1, w, h};  // transposed along the other diagonal
    case 8:
      return {-1, w, w - 1, w, h};  // turned: rotate counterclockwise
    default:
      return {w, 1, 0, h, w};
  }
}

inline uint8_t grey(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114 + 500) / 1000);
}

void copy_pixel(const uint8_t* from, int channels, uint8_t* to, int wanted) {
  if (wanted == 1) {
    *to = channels >= 3 ? grey(from) : from[0];
    return;
  }
  for (int c = 0; c < 3; ++c) to[c] = channels >= 3 ? from[c] : from[0];
}

}  // namespace

ImageFormat image_format(std::string_view content) {
  const auto begins = [&](std::string_view magic) { return content.substr(0, magic.size()) == magic; };
  if (begins("\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (begins("\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (begins("GIF8")) return ImageFormat::kGif;
  if (begins("BM")) return ImageFormat::kBmp;
  if (begins("RIFF") && content.size() >= 12 && content.substr(8, 4) == "WEBP") return ImageFormat::kWebp;
  return ImageFormat::kUnknown;
}

const char* to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kBmp:
      return "BMP";
    case ImageFormat::kGif:
      return "GIF";
    case ImageFormat::kWebp:
      return "WebP";
    case ImageFormat::kUnknown:
      break;
  }
  return "unknown";
}

namespace {

// The decoded pixels as the options want them.
absl::Status deliver(std::string_view content, const View& image, const DecodeOptions& options,
                     const Allocate& allocate) {
  const bool turn = options.apply_exif && image_format(content) == ImageFormat::kJpeg;
  const Source source = source_of(image, turn ? exif_orientation(content) : 1);
  const bool resize = options.height > 0;
  const int64_t height = resize ? options.height : source.height;
  const int64_t width = resize ? options.width : source.width;
  uint8_t* out = allocate(height, width);
  if (!out)
    return absl::ResourceExhaustedError("no memory for an image of " + std::to_string(height) + "x" +
                                        std::to_string(width));
  if (!resize && source.step_x == 1 && source.step_y == image.width && image.channels == options.channels) {
    std::memcpy(out, image.bytes, static_cast<size_t>(height * width * options.channels));
    return absl::OkStatus();
  }
  std::vector<int64_t> rows, columns;
  nearest(source.height, height, source.step_y, &rows);
  if (image.channels == 3 && options.channels == 3) {
    nearest(source.width, width, source.step_x * 3, &columns);
    for (int64_t row : rows) {
      copy_rgb_row(image.bytes + (source.begin + row) * 3, columns, out);
      out += width * 3;
    }
    return absl::OkStatus();
  }
  nearest(source.width, width, source.step_x, &columns);
  for (int64_t row : rows)
    for (int64_t column : columns) {
      copy_pixel(image.bytes + (source.begin + row + column) * image.channels, image.channels, out, options.channels);
      out += options.channels;
    }
  return absl::OkStatus();
}

}  // namespace

absl::Status decode_image(std::string_view content, const DecodeOptions& options, const Allocate& allocate) {
  if (PixelFile file; read_pixel_file(content, &file))
    return deliver(content, {file.height, file.width, 3, file.pixels}, options, allocate);
  // Asked again, after a decoder gave up, it returns the same memory.
  uint8_t* memory = nullptr;
  const Allocate allocate_once = [&](int64_t height, int64_t width) {
    if (!memory) memory = allocate(height, width);
    return memory;
  };
  const bool turn = options.apply_exif && exif_orientation(content) != 1;
  if (image_format(content) == ImageFormat::kJpeg && !turn && decode_common_jpeg(content, options, allocate_once))
    return absl::OkStatus();
  thread_local Pixels image;
  const bool transparent = options.background >= 0 && image_format(content) == ImageFormat::kPng;
  absl::Status status = decode_any(content, transparent ? 4 : options.channels, &image);
  if (status.ok() && options.background >= 0 && image.channels == 4) lay_over(options.background, &image);
  if (status.ok()) {
    const View pixels{image.height, image.width, image.channels, image.bytes.data()};
    status = deliver(content, pixels, options, allocate_once);
  }
  image.release_if_large();
  return status;
}

int background_of(std::string_view alpha) { return alpha == "white" ? 255 : alpha == "black" ? 0 : -1; }

absl::Status check_whole(std::string_view content, bool must_be_image) {
  const ImageFormat format = image_format(content);
  if (content.empty() || (must_be_image && format == ImageFormat::kUnknown)) return not_an_image(content);
  bool whole = true;
  if (format == ImageFormat::kJpeg) {
    const size_t scan = jpeg_scan(content), end = content.rfind("\xff\xd9");
    whole = scan < content.size() && end != std::string_view::npos && end > scan;
  } else if (format == ImageFormat::kPng) {
    whole = content.rfind("IEND") != std::string_view::npos;
  } else if (format == ImageFormat::kWebp) {
    uint64_t size = 0;
    for (size_t i = 8; i-- > 4;) size = size << 8 | static_cast<uint8_t>(content[i]);
    whole = size + 8 <= content.size();
  }
  return whole ? absl::OkStatus() : broken("the " + std::string(to_string(format)) + " is cut off", content.size());
}

}  // namespace mox::data
