// Convolutions of images of few channels, a network's first. A window's rows are so short that to gather them takes as
// long as to multiply: lines of the image are copied once, with zeros where the padding is, and are the left side of
// products as they lie.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kLines = 32;              // of the output, whose lines of the image are copied together
constexpr int64_t kFloats = 16 * 1024;      // of the output, which are finished while they are in the first caches
constexpr int64_t kCuts = 16, kFewest = 4;  // of a gradient's lines, which have sums of their own

int64_t window_of(const Convolution& c) { return c.filter_width * c.channels; }
int64_t lines_of(const Convolution& c) { return c.batch * c.out_height; }

// Lines [first, last) of the output, counted over all images; of one image.
struct Lines {
  int64_t first, last;

  int64_t count() const { return last - first; }
};

// Calls work(lines) for [first, last), image by image, at most so many at a time.
template <typename Work>
void for_lines(const Convolution& c, int64_t first, int64_t last, const Work& work) {
  for (int64_t line = first; line < last;) {
    const int64_t end = std::min({last, line + kLines, (line / c.out_height + 1) * c.out_height});
    work(Lines{line, end});
    line = end;
  }
}

// What windows of kLines lines of the output lie in, as float32.
class PaddedLines {
 public:
  explicit PaddedLines(const Convolution& c)
      : c_(c), row_(((c.out_width - 1) * c.stride + c.filter_width) * c.channels) {}

  int64_t row() const { return row_; }
  int64_t size() const { return ((kLines - 1) * c_.stride + c_.filter_height) * row_; }

  template <typename T>
  void copy(const T* x, const Lines& lines, const ConvolutionLoops& loops, float* to) const {
    const int64_t image = lines.first / c_.out_height, top = lines.first % c_.out_height * c_.stride - c_.pad_top,
                  height = (lines.count() - 1) * c_.stride + c_.filter_height;
    const int64_t left = std::min(c_.pad_left * c_.channels, row_),
                  middle = std::min(c_.width * c_.channels, row_ - left);
    for (int64_t y = top; y < top + height; ++y, to += row_) {
      if (y < 0 || y >= c_.height) {
        std::memset(to, 0, row_ * sizeof(float));
        continue;
      }
      const T* from = x + (image * c_.height + y) * c_.width * c_.channels;
      std::memset(to, 0, left * sizeof(float));
      if constexpr (std::is_same_v<T, float>)
        std::memcpy(to + left, from, middle * sizeof(float));
      else
        loops.widen(from, middle, to + left);
      std::memset(to + left + middle, 0, (row_ - left - middle) * sizeof(float));
    }
  }
  // Of line `line` of the output, counted from the first that was copied.
  const float* window(const float* lines, int64_t line) const { return lines + line * c_.stride * row_; }

 private:
  const Convolution& c_;
  const int64_t row_;
};

// The outputs of lines, whose first line of windows is `windows`.
template <typename T>
void compute(const Convolution& c, const PaddedLines& padded, const Lines& lines, const float* windows,
             const float* packed, const Epilogue& epilogue, float* sums, T* y, const Resources& on) {
  const int64_t window = window_of(c), panel = on.loops.columns, first = lines.first * c.out_width;
  for (int64_t line = 0; line < lines.count(); ++line)
    on.loops.multiply_windows({.product = {.rows = c.out_width,
                                           .columns = c.filters,
                                           .depth = window,
                                           .left = padded.window(windows, line),
                                           .left_row = c.stride * c.channels,
                                           .left_depth = 1,
                                           .right = packed,
                                           .right_panel = c.filter_height * window * panel,
                                           .right_depth = panel,
                                           .product = sums + line * c.out_width * c.filters,
                                           .product_row = c.filters},
                               .lines = c.filter_height,
                               .line = padded.row()});
  if (epilogue.is_there() || !std::is_same_v<T, float>)
    finish(on.loops, Finish<T>{lines.count() * c.out_width, c.filters, sums, c.filters,
                               epilogue.of<T>(first * c.filters, 0), y + first * c.filters, c.filters});
}

}  // namespace

bool has_few_channels(const Convolution& c) {
  constexpr int64_t kMost = 4;
  return c.channels <= kMost && c.filters % kLanes == 0 && c.filter_height * c.filter_width > 1;
}

template <typename T>
void few_channels_pack(const Convolution& c, const T* filter, float* packed, const Resources& on) {
  if constexpr (std::is_same_v<T, float>) {
    direct_pack(c, filter, packed, on);
  } else {
    std::vector<float> wide(c.filter_height * window_of(c) * c.filters);
    on.loops.widen(filter, static_cast<int64_t>(wide.size()), wide.data());
    direct_pack(c, wide.data(), packed, on);
  }
}

template <typename T>
void few_channels(const Convolution& c, const T* x, const float* packed, const Epilogue& epilogue, T* y,
                  const RowsDone& done, const Resources& on) {
  const RowParts parts = parts_of_output(c);
  const PaddedLines padded(c);
  const int64_t few = std::clamp<int64_t>(kFloats / (c.out_width * c.filters), 1, kLines);
  const int64_t of_sums = std::is_same_v<T, float> ? 0 : few * c.out_width * c.filters,
                each = round_up(padded.size(), kLanes) + of_sums;
  float* scratch = on.scratch(std::min(on.threads, parts.parts) * each);
  for_all(parts.parts, on, [&](int64_t part, int64_t worker) {
    float *lines = scratch + worker * each, *kept = lines + round_up(padded.size(), kLanes);
    for_lines(c, parts.begin(part) / c.out_width, parts.begin(part + 1) / c.out_width, [&](const Lines& all) {
      padded.copy(x, all, on.loops, lines);
      for (int64_t line = all.first; line < all.last; line += few) {
        const Lines some{line, std::min(line + few, all.last)};
        const int64_t first = some.first * c.out_width;
        float* sums = kept;
        if constexpr (std::is_same_v<T, float>) sums = y + first * c.filters;
        compute(c, padded, some, padded.window(lines, line - all.first), packed, epilogue, sums, y, on);
        if (done.call) done.call(part, first, some.last * c.out_width, y + first * c.filters);
      }
    });
  });
}

// Sums of cuts of the lines, which are added in their order: no number depends on the threads.
template <typename T>
void few_channels_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on) {
  const PaddedLines padded(c);
  const int64_t window = window_of(c), size = c.filter_height * window * c.filters, columns = c.out_width * c.filters,
                cuts = std::clamp<int64_t>(lines_of(c) / kFewest, 1, kCuts);
  const int64_t of_lines = round_up(padded.size(), kLanes), each = of_lines + columns;
  float *scratch = on.scratch(std::min(on.threads, cuts) * each), *sums = on.scratch(cuts * size);
  for_all(cuts, on, [&](int64_t cut, int64_t worker) {
    float *lines = scratch + worker * each, *to = sums + cut * size;
    std::memset(to, 0, size * sizeof(float));
    for_lines(c, lines_of(c) * cut / cuts, lines_of(c) * (cut + 1) / cuts, [&](const Lines& all) {
      padded.copy(x, all, on.loops, lines);
      for (int64_t line = all.first; line < all.last; ++line) {
        const float* gradients = nullptr;
        if constexpr (std::is_same_v<T, float>) {
          gradients = dy + line * columns;
        } else {
          on.loops.widen(dy + line * columns, columns, lines + of_lines);
          gradients = lines + of_lines;
        }
        for (int64_t row = 0; row < c.filter_height; ++row)
          on.loops.multiply({.rows = window,
                             .columns = c.filters,
                             .depth = c.out_width,
                             .left = padded.window(lines, line - all.first) + row * padded.row(),
                             .left_row = 1,
                             .left_depth = c.stride * c.channels,
                             .right = gradients,
                             .right_panel = on.loops.columns,
                             .right_depth = c.filters,
                             .product = to + row * window * c.filters,
                             .product_row = c.filters,
                             .add = true});
      }
    });
  });
  for (int64_t i = 0; i < size; ++i) {
    float sum = sums[i];
    for (int64_t cut = 1; cut < cuts; ++cut) sum += sums[cut * size + i];
    dfilter[i] = sum;
  }
}

#define MOX_INSTANTIATE(T)                                                                                     \
  template void few_channels_pack(const Convolution&, const T*, float*, const Resources&);                     \
  template void few_channels(const Convolution&, const T*, const float*, const Epilogue&, T*, const RowsDone&, \
                             const Resources&);                                                                \
  template void few_channels_filter_gradient(const Convolution&, const T*, const T*, float*, const Resources&);
MOX_INSTANTIATE(float)
MOX_INSTANTIATE(bfloat16_bits)
#undef MOX_INSTANTIATE

}  // namespace mox::convolutions
