#include "convolutions/grouped.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "convolutions/grouped_loops.h"
#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kFloatsOfBand = 128 * 1024;  // the second cache holds them: what is read and what is made of it
constexpr int64_t kFloatsOfStrip = 8 * 1024;   // the first cache
constexpr int64_t kMostOfGroup = 32, kMostLanes = 16;
constexpr int64_t kBytesPastCaches = 32 << 20;  // outputs as large do not stay in the last cache

// Overloads by the images' type.
void gather(const GroupedLoops& loops, const float* x, int64_t count, int64_t pixel, int64_t channels, int64_t block,
            int64_t block_stride, float* to) {
  loops.gather(x, count, pixel, channels, block, block_stride, block, to);
}
void gather(const GroupedLoops& loops, const bfloat16_bits* x, int64_t count, int64_t pixel, int64_t channels,
            int64_t block, int64_t block_stride, float* to) {
  loops.gather_bfloat16(x, count, pixel, channels, block, block_stride, block, to);
}
void convolve_row(const GroupedLoops& loops, const GroupedRow& row, float* y) { loops.convolve(row, y); }
void convolve_row(const GroupedLoops& loops, const GroupedRow& row, bfloat16_bits* y) {
  loops.convolve_bfloat16(row, y);
}

// What one side of an image goes through, the height or the width. Outputs first, first + out_step, ..., `count` of
// them, see `taps` inputs each: number i those from i * in_step + offset on.
struct Phase {
  int64_t first, count, taps, offset;
};
// A gradient by the input has as many phases as the stride is long: neighbours meet different rows of the filter.
struct Axis {
  int64_t in, out;
  int64_t in_step, out_step;
  std::vector<Phase> phases;

  int64_t most() const {
    int64_t n = 0;
    for (const Phase& phase : phases) n = std::max(n, phase.count);
    return n;
  }
  int64_t most_taps() const {
    int64_t n = 0;
    for (const Phase& phase : phases) n = std::max(n, phase.taps);
    return n;
  }
};

Axis forward_axis(int64_t in, int64_t out, int64_t filter, int64_t stride, int64_t pad) {
  return {in, out, stride, 1, {{0, out, filter, -pad}}};
}

Axis gradient_axis(int64_t in, int64_t out, int64_t filter, int64_t stride, int64_t pad) {
  Axis axis{in, out, 1, stride, {}};
  for (int64_t phase = 0; phase < stride; ++phase) {
    const int64_t taps = phase < filter ? (filter - phase + stride - 1) / stride : 0,
                  first = ((phase - pad) % stride + stride) % stride,
                  count = first < out ? (out - first + stride - 1) / stride : 0;
    axis.phases.push_back({first, count, taps, (first + pad) / stride - (taps - 1)});
  }
  return axis;
}

// Inputs [begin, end) that are read; those outside the image are padding.
struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// By outputs [n0, n1) of each phase, `unit` at a time.
Span span_of(const Axis& axis, int64_t n0, int64_t n1, int64_t unit) {
  Span span{INT64_MAX, INT64_MIN};
  for (const Phase& phase : axis.phases) {
    const int64_t last = std::min(n1, phase.count);
    if (last <= n0 || phase.taps == 0) continue;
    span.begin = std::min(span.begin, n0 * axis.in_step + phase.offset);
    span.end = std::max(span.end, (n0 + round_up(last - n0, unit) - 1) * axis.in_step + phase.offset + phase.taps);
  }
  return span.begin < span.end ? span : Span{0, 0};
}

// Channels [c0, c1) of rows and columns of one image, in blocks of channels: [block][row][column][channel].
struct Band {
  Span rows, columns;
  int64_t block;

  int64_t row() const { return columns.size() * block; }
  int64_t stride() const { return rows.size() * row(); }
  int64_t size(int64_t channels) const { return channels / block * stride(); }
};

template <typename T>
void fill(const GroupedLoops& loops, const Band& band, const T* image, int64_t height, int64_t width, int64_t channels,
          int64_t c0, int64_t c1, float* to) {
  const int64_t begin = std::clamp<int64_t>(0, band.columns.begin, band.columns.end),
                end = std::clamp(width, begin, band.columns.end);
  for (int64_t r = band.rows.begin; r < band.rows.end; ++r, to += band.row()) {
    const bool is_inside = r >= 0 && r < height;
    const int64_t first = is_inside ? begin : band.columns.end, last = is_inside ? end : band.columns.end;
    for (int64_t b = 0; b < (c1 - c0) / band.block; ++b) {
      float* row = to + b * band.stride();
      std::memset(row, 0, (first - band.columns.begin) * band.block * sizeof(float));
      std::memset(row + (last - band.columns.begin) * band.block, 0,
                  (band.columns.end - last) * band.block * sizeof(float));
    }
    if (last > first)
      gather(loops, image + (r * width + first) * channels + c0, last - first, channels, c1 - c0, band.block,
             band.stride(), to + (first - band.columns.begin) * band.block);
  }
}

int64_t block_of(int64_t group, const GroupedLoops& loops) { return std::max(group, loops.lanes); }

// Channels a row of outputs can be cut at.
int64_t unit_of(int64_t group) { return std::max(group, kLanes); }

// An image batch through a filter, forward or back. Packed filters: [filters / lanes][phase of rows][phase of
// columns][row][column][channel of the group][lanes].
template <typename T>
struct Task {
  const Resources& on;
  int64_t batch, channels, group;
  Axis rows, columns;
  const T* x;
  const float* packed;
  T* y;
  bool past_caches = batch * rows.out * columns.out * channels * static_cast<int64_t>(sizeof(T)) >= kBytesPastCaches;

  const GroupedLoops& loops() const { return *on.loops.grouped; }

  // Rows [n0, n1) of each phase, channels [c0, c1).
  void compute(int64_t image, int64_t n0, int64_t n1, int64_t c0, int64_t c1, float* scratch) const {
    const Band band = band_of(n0, n1);
    fill(loops(), band, x + image * rows.in * columns.in * channels, rows.in, columns.in, channels, c0, c1, scratch);
    int64_t taps = 0;
    for (const Phase& r : rows.phases)
      for (const Phase& s : columns.phases) taps += r.taps * s.taps;
    T* out = y + image * rows.out * columns.out * channels;
    for (int64_t c = c0; c < c1; c += loops().lanes) {
      const float *from = scratch + (c - c0) / band.block * band.stride(), *filter = packed + c * taps * group;
      for (const Phase& r : rows.phases)
        for (const Phase& s : columns.phases) {
          for (int64_t n = n0; n < std::min(n1, r.count); ++n) compute_row(band, r, s, n, from, filter, out + c);
          filter += r.taps * s.taps * group * loops().lanes;
        }
    }
    if (past_caches) loops().flush();
  }

  void compute_row(const Band& band, const Phase& r, const Phase& s, int64_t n, const float* from, const float* filter,
                   T* out) const {
    const bool is_empty = r.taps == 0 || s.taps == 0;
    GroupedRow row{.group = group,
                   .height = is_empty ? 0 : r.taps,
                   .width = s.taps,
                   .x = from,
                   .x_row = band.row(),
                   .x_pixel = band.block,
                   .x_step = columns.in_step * band.block,
                   .filter = filter,
                   .count = s.count,
                   .y_step = columns.out_step * channels,
                   .past_caches = past_caches};
    if (!is_empty)
      row.x +=
          (n * rows.in_step + r.offset - band.rows.begin) * band.row() + (s.offset - band.columns.begin) * band.block;
    convolve_row(loops(), row, out + ((r.first + n * rows.out_step) * columns.out + s.first) * channels);
  }

  Band band_of(int64_t n0, int64_t n1) const {
    return {span_of(rows, n0, n1, 1), span_of(columns, 0, columns.most(), loops().pixels), block_of(group, loops())};
  }

  // Bands of rows of all channels; where these are few, of some.
  void run() const {
    const int64_t most = rows.most(), in_row = band_of(0, 1).columns.size() * channels,
                  out_row = columns.out * channels;
    const int64_t fit = std::clamp<int64_t>(
        (kFloatsOfBand - rows.most_taps() * in_row) / (rows.in_step * in_row + rows.out_step * out_row), 1,
        std::max<int64_t>(most, 1));
    const int64_t bands = (most + fit - 1) / fit, units = channels / unit_of(group),
                  ranges = std::clamp<int64_t>(2 * on.threads / std::max<int64_t>(batch * bands, 1), 1, units),
                  all = batch * bands * ranges, parts = std::min(on.threads, all);
    int64_t size = 0;
    for (int64_t b = 0; b < bands; ++b)
      size = std::max(size, band_of(most * b / bands, most * (b + 1) / bands).size(channels));
    size = round_up(size, kLanes);
    float* scratch = on.scratch(parts * size);
    std::atomic<int64_t> next{0};
    on.run(parts, [&](int64_t part) {
      for (int64_t i = next++; i < all; i = next++) {
        const int64_t band = i / ranges % bands, range = i % ranges;
        compute(i / (ranges * bands), most * band / bands, most * (band + 1) / bands,
                units * range / ranges * unit_of(group), units * (range + 1) / ranges * unit_of(group),
                scratch + part * size);
      }
    });
  }
};

void pack_forward(const Convolution& c, int64_t group, const float* filter, float* packed, const Resources& on) {
  const int64_t lanes = on.loops.grouped->lanes, depth = c.filter_height * c.filter_width * group;
  on.run(c.filters / lanes, [&](int64_t v) {
    for (int64_t d = 0; d < depth; ++d)
      std::memcpy(packed + (v * depth + d) * lanes, filter + d * c.filters + v * lanes, lanes * sizeof(float));
  });
}

// Turned round, and channels in the place of filters.
void pack_back(const Convolution& c, const Axis& rows, const Axis& columns, int64_t group, const float* filter,
               float* packed, const Resources& on) {
  const int64_t lanes = on.loops.grouped->lanes, depth = c.filter_height * c.filter_width * group;
  on.run(c.channels / lanes, [&](int64_t v) {
    float* to = packed + v * depth * lanes;
    float rows_of_lanes[kMostLanes * kMostOfGroup];  // side by side: in the filter they lie a whole row apart
    for (int64_t pr = 0; pr < c.stride; ++pr)
      for (int64_t ps = 0; ps < c.stride; ++ps)
        for (int64_t r = rows.phases[pr].taps - 1; r >= 0; --r)
          for (int64_t s = columns.phases[ps].taps - 1; s >= 0; --s) {
            const float* place =
                filter + ((pr + r * c.stride) * c.filter_width + ps + s * c.stride) * group * c.filters;
            for (int64_t lane = 0; lane < lanes; ++lane) {
              const int64_t channel = v * lanes + lane;
              std::memcpy(rows_of_lanes + lane * group, place + channel % group * c.filters + channel / group * group,
                          group * sizeof(float));
            }
            for (int64_t k = 0; k < group; ++k, to += lanes)
              for (int64_t lane = 0; lane < lanes; ++lane) to[lane] = rows_of_lanes[lane * group + k];
          }
  });
}

// The sums of some channels over some images: units, which are the same whatever the threads.
template <typename T>
struct FilterTask {
  const Convolution& c;
  int64_t group;
  const T *x, *dy;
  const Resources& on;
  Axis rows = forward_axis(c.height, c.out_height, c.filter_height, c.stride, c.pad_top);
  Axis columns = forward_axis(c.width, c.out_width, c.filter_width, c.stride, c.pad_left);

  const GroupedLoops& loops() const { return *on.loops.grouped; }
  int64_t depth() const { return c.filter_height * c.filter_width * group; }
  int64_t filter_size() const { return depth() * c.filters; }

  Band band_of(int64_t n0, int64_t n1) const {
    return {span_of(rows, n0, n1, 1), span_of(columns, 0, c.out_width, 1), block_of(group, loops())};
  }
  Band gradient_band(int64_t n0, int64_t n1) const { return {{n0, n1}, {0, c.out_width}, loops().lanes}; }
  // Rows of outputs whose numbers are at most so many, of that many channels.
  int64_t rows_of(int64_t floats, int64_t channels) const {
    const int64_t of_x = band_of(0, 1).columns.size() * channels;
    return std::clamp<int64_t>((floats - c.filter_height * of_x) / (c.stride * of_x + c.out_width * channels), 1,
                               c.out_height);
  }

  // sums: of channels [c0, c1) over images [i0, i1), [filters / lanes][row][column][channel][lanes].
  void sum(int64_t i0, int64_t i1, int64_t c0, int64_t c1, float* scratch, float* sums) const {
    const int64_t strip = rows_of(kFloatsOfStrip, block_of(group, loops())), at_once = rows_of(kFloatsOfBand, c1 - c0);
    std::memset(sums + c0 * depth(), 0, (c1 - c0) * depth() * sizeof(float));
    for (int64_t image = i0; image < i1; ++image)
      for (int64_t n0 = 0; n0 < c.out_height; n0 += at_once) {
        const int64_t n1 = std::min(c.out_height, n0 + at_once);
        const Band band = band_of(n0, n1), of_dy = gradient_band(n0, n1);
        float* gradients = scratch + band.size(c1 - c0);
        fill(loops(), band, x + image * c.height * c.width * c.channels, c.height, c.width, c.channels, c0, c1,
             scratch);
        fill(loops(), of_dy, dy + image * c.out_height * c.out_width * c.filters, c.out_height, c.out_width, c.filters,
             c0, c1, gradients);
        for (int64_t k = c0; k < c1; k += loops().lanes)
          for (int64_t n = 0; n < n1 - n0; n += strip)
            sum_strip(band, scratch + (k - c0) / band.block * band.stride(), of_dy,
                      gradients + (k - c0) / loops().lanes * of_dy.stride(), n, std::min(strip, n1 - n0 - n),
                      sums + k * depth());
      }
  }

  void sum_strip(const Band& band, const float* from, const Band& of_dy, const float* gradients, int64_t n,
                 int64_t count, float* sums) const {
    for (int64_t r = 0; r < c.filter_height; ++r)
      loops().add_products({.group = group,
                            .width = c.filter_width,
                            .x = from + (n * c.stride + r) * band.row(),
                            .x_row = c.stride * band.row(),
                            .x_pixel = band.block,
                            .x_step = c.stride * band.block,
                            .dy = gradients + n * of_dy.row(),
                            .dy_row = of_dy.row(),
                            .dy_pixel = of_dy.block,
                            .rows = count,
                            .count = c.out_width,
                            .sums = sums + r * c.filter_width * group * loops().lanes});
  }

  void run(float* dfilter) const {
    constexpr int64_t kChannels = 128, kUnits = 16;
    const int64_t ranges = (c.channels + kChannels - 1) / kChannels,
                  chunks = std::clamp<int64_t>(kUnits / ranges, 1, c.batch), all = ranges * chunks,
                  parts = std::min(on.threads, all), widest = std::min(kChannels, c.channels),
                  at_once = rows_of(kFloatsOfBand, widest);
    // The rows that a narrower range has at once are more, but no more numbers.
    const int64_t size = round_up(
        std::max(kFloatsOfBand, band_of(0, at_once).size(widest) + gradient_band(0, at_once).size(widest)), kLanes);
    float *scratch = on.scratch(parts * size), *sums = on.scratch(chunks * filter_size());
    std::atomic<int64_t> next{0};
    on.run(parts, [&](int64_t part) {
      for (int64_t i = next++; i < all; i = next++) {
        const int64_t range = i % ranges, chunk = i / ranges;
        sum(c.batch * chunk / chunks, c.batch * (chunk + 1) / chunks, range * kChannels,
            std::min(c.channels, (range + 1) * kChannels), scratch + part * size, sums + chunk * filter_size());
      }
    });
    const int64_t lanes = loops().lanes;
    on.run(c.filters / lanes, [&](int64_t v) {
      for (int64_t d = 0; d < depth(); ++d) {
        float* to = dfilter + d * c.filters + v * lanes;
        const float* from = sums + (v * depth() + d) * lanes;
        for (int64_t lane = 0; lane < lanes; ++lane) {
          to[lane] = from[lane];
          for (int64_t chunk = 1; chunk < chunks; ++chunk) to[lane] += from[chunk * filter_size() + lane];
        }
      }
    });
  }
};

}  // namespace

bool is_fast_grouped(const Convolution& c, int64_t groups) {
  if (!convolution_loops()) return false;
  if (c.stride <= 0 || c.channels <= 0 || c.filter_height <= 0 || c.filter_width <= 0 || groups <= 0) return false;
  if (c.filters != c.channels || c.channels % kLanes != 0 || c.channels % groups != 0) return false;
  const int64_t group = c.channels / groups;
  return group == 4 || group == 8 || group == 16 || group == 32;
}

template <typename T>
void convolve_groups(const Convolution& c, int64_t groups, const T* x, const float* filter, T* y, const Resources& on) {
  const int64_t group = c.channels / groups;
  float* packed = on.scratch(c.filter_height * c.filter_width * group * c.filters);
  pack_forward(c, group, filter, packed, on);
  Task<T>{on,
          c.batch,
          c.channels,
          group,
          forward_axis(c.height, c.out_height, c.filter_height, c.stride, c.pad_top),
          forward_axis(c.width, c.out_width, c.filter_width, c.stride, c.pad_left),
          x,
          packed,
          y}
      .run();
}

template <typename T>
void gradient_of_grouped_input(const Convolution& c, int64_t groups, const float* filter, const T* dy, T* dx,
                               const Resources& on) {
  const int64_t group = c.channels / groups;
  const Axis rows = gradient_axis(c.out_height, c.height, c.filter_height, c.stride, c.pad_top),
             columns = gradient_axis(c.out_width, c.width, c.filter_width, c.stride, c.pad_left);
  float* packed = on.scratch(c.filter_height * c.filter_width * group * c.filters);
  pack_back(c, rows, columns, group, filter, packed, on);
  Task<T>{on, c.batch, c.channels, group, rows, columns, dy, packed, dx}.run();
}

template <typename T>
void gradient_of_grouped_filter(const Convolution& c, int64_t groups, const T* x, const T* dy, float* dfilter,
                                const Resources& on) {
  FilterTask<T>{c, c.channels / groups, x, dy, on}.run(dfilter);
}

template void convolve_groups(const Convolution&, int64_t, const float*, const float*, float*, const Resources&);
template void convolve_groups(const Convolution&, int64_t, const bfloat16_bits*, const float*, bfloat16_bits*,
                              const Resources&);
template void gradient_of_grouped_input(const Convolution&, int64_t, const float*, const float*, float*,
                                        const Resources&);
template void gradient_of_grouped_input(const Convolution&, int64_t, const float*, const bfloat16_bits*, bfloat16_bits*,
                                        const Resources&);
template void gradient_of_grouped_filter(const Convolution&, int64_t, const float*, const float*, float*,
                                         const Resources&);
template void gradient_of_grouped_filter(const Convolution&, int64_t, const bfloat16_bits*, const bfloat16_bits*,
                                         float*, const Resources&);

}  // namespace mox::convolutions
