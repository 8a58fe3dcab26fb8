// The gradient of the input of a convolution with a stride. Pixels of the input that lie a stride apart meet the same
// places of the filter: of a 3x3 filter with stride 2 one in four pixels meets four of them, two meet two, one meets
// one. Each such phase is a product of matrices: windows of the output's gradient times these places.
#include <algorithm>
#include <cstring>
#include <vector>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

int64_t floor_of(int64_t n, int64_t divisor) { return n >= 0 ? n / divisor : -((-n + divisor - 1) / divisor); }

// Outputs first + i for 0 <= i < count, of the position 0; of the position p those p further.
struct Outputs {
  int64_t first, count;
};

// Rows or columns. The pixel stride * position + phase of the input met output o by the filter's row phase + pad -
// stride * (o - position).
struct Side {
  int64_t stride, pad, filter, size, out;

  int64_t positions() const { return (size + stride - 1) / stride; }
  int64_t phases() const { return std::min(stride, size); }
  // How many positions the phase has.
  int64_t pixels(int64_t phase) const { return (size - phase + stride - 1) / stride; }
  Outputs outputs(int64_t phase) const {
    const int64_t last = floor_of(phase + pad, stride), first = floor_of(phase + pad - filter, stride) + 1;
    return {first, std::max<int64_t>(last - first + 1, 0)};
  }
  int64_t filter_of(int64_t phase, int64_t output) const { return phase + pad - stride * output; }
  // Those of all phases: they follow each other closely, or there are none.
  Outputs window() const {
    int64_t first = 0, last = -1;
    for (int64_t phase = 0; phase < phases(); ++phase) {
      const Outputs of = outputs(phase);
      if (of.count == 0) continue;
      if (last < first) first = of.first, last = of.first - 1;
      first = std::min(first, of.first);
      last = std::max(last, of.first + of.count - 1);
    }
    return {first, last - first + 1};
  }
};

Side rows_of(const Convolution& c) { return {c.stride, c.pad_top, c.filter_height, c.height, c.out_height}; }
Side columns_of(const Convolution& c) { return {c.stride, c.pad_left, c.filter_width, c.width, c.out_width}; }

// A phase of rows and one of columns. The places of the filter that it meets lie packed as
// [panels][lines][columns][filters][numbers of a panel].
struct Phase {
  int64_t row, column;
  Outputs lines, columns;
  int64_t packed;  // places of the phases before it

  int64_t places() const { return lines.count * columns.count; }
};

std::vector<Phase> phases_of(const Convolution& c) {
  std::vector<Phase> all;
  int64_t packed = 0;
  for (int64_t row = 0; row < rows_of(c).phases(); ++row)
    for (int64_t column = 0; column < columns_of(c).phases(); ++column) {
      all.push_back({row, column, rows_of(c).outputs(row), columns_of(c).outputs(column), packed});
      packed += all.back().places();
    }
  return all;
}

// Lines [first, last) of positions, counted over all images: what is computed at once.
template <typename T>
struct Lines {
  int64_t first, last;
  const Multiplied<T>* windows;  // a row each position: [window lines][window columns][filters]
  T* to;                         // the lines of the input
  bool are_told;                 // of: all columns are computed, and somebody looks

  int64_t count() const { return last - first; }
};

template <typename T>
struct Task {
  using Element = Multiplied<T>;

  const Convolution& c;
  const T* dy;
  T* dx;
  const RowsDone& done;
  const Resources& on;
  const Side y = rows_of(c), x = columns_of(c);
  const Outputs window_lines = y.window(), window_columns = x.window();
  const std::vector<Phase> phases = phases_of(c);
  const RowParts parts = parts_of_input(c);
  const Element* packed = nullptr;

  // A panel of so much depth and the rows that it meets stay in the first cache.
  static constexpr int64_t kDepth = 256, kLine = 64;
  int64_t filters() const { return c.filters / kNumbers<T>; }
  int64_t panel() const { return on.loops.columns; }
  int64_t panels() const { return (c.channels + panel() - 1) / panel(); }
  int64_t places() const { return phases.empty() ? 0 : phases.back().packed + phases.back().places(); }
  const Element* packed_of(const Phase& phase, int64_t index) const {
    return packed + (phase.packed * panels() + phase.places() * index) * filters() * panel();
  }

  // Scratch memory of a thread, in floats.
  int64_t left_row() const { return window_lines.count * window_columns.count * filters() + kLanes; }
  int64_t left_size() const { return most_lines() * x.positions() * left_row(); }
  int64_t sums_size() const { return most_lines() * x.positions() * panel(); }
  int64_t rows_size() const { return dx ? 0 : most_lines() * c.stride * c.width * c.channels; }

  // So many that the filter meets enough of them each time that it is read, and that their windows stay in the second
  // cache.
  int64_t most_lines() const {
    constexpr int64_t kSecondCache = 200 * 1024, kFewest = 48, kMost = 192;
    return std::max<int64_t>(1, std::clamp(kSecondCache / left_row(), kFewest, kMost) / x.positions());
  }

  // The line of the input, counted over all images, where a line of positions begins, and the other way.
  int64_t input_line(int64_t line) const { return line / y.positions() * c.height + line % y.positions() * c.stride; }
  int64_t line_of(int64_t input) const { return input / c.height * y.positions() + input % c.height / c.stride; }

  // The windows of lines [first, last) of positions; 0 beyond the output.
  void gather(int64_t first, int64_t last, Element* to) const {
    const int64_t of_line = window_columns.count * c.filters;
    for (int64_t line = first; line < last; ++line)
      for (int64_t column = 0; column < x.positions(); ++column, to += left_row()) {
        const int64_t image = line / y.positions(), x0 = column + window_columns.first,
                      begin = std::clamp<int64_t>(-x0, 0, window_columns.count) * c.filters,
                      end = std::clamp<int64_t>(c.out_width - x0, 0, window_columns.count) * c.filters;
        T* at = reinterpret_cast<T*>(to);
        for (int64_t i = 0; i < window_lines.count; ++i, at += of_line) {
          const int64_t row = line % y.positions() + window_lines.first + i;
          const bool is_outside = row < 0 || row >= c.out_height || begin >= end;
          const int64_t first_number = is_outside ? of_line : begin, last_number = is_outside ? of_line : end;
          std::memset(at, 0, first_number * sizeof(T));
          if (!is_outside)
            std::memcpy(at + begin, dy + ((image * c.out_height + row) * c.out_width + x0) * c.filters + begin,
                        (end - begin) * sizeof(T));
          std::memset(at + last_number, 0, (of_line - last_number) * sizeof(T));
        }
      }
  }

  // The pixels of a phase and of a panel come into the second cache before they are written, in `half` those of half
  // the panel. The phases of other rows have theirs between them.
  Ahead pixels_ahead(const Phase& phase, int64_t index, int64_t half, const Lines<T>& lines, int64_t depth) const {
    constexpr int64_t kOfLine = kLine / sizeof(T);
    const int64_t column = index * panel() + half * kOfLine, pixels = lines.count() * c.stride * x.positions(),
                  step = c.stride * c.channels * static_cast<int64_t>(sizeof(T));
    if (!dx || phase.row > 0 || half * kOfLine >= panel() || column >= c.channels) return {};
    return {lines.to + phase.column * c.channels + column, (pixels + depth - 1) / depth, depth * step, step};
  }

  // What is read beside the lines comes into the second cache, piece by piece: some with each panel of each phase.
  Ahead reads_ahead(const Phase& phase, int64_t index, const Lines<T>& lines, int64_t depth) const {
    const T* reads[3];
    int64_t count = 0;
    for (const void* data : done.reads)
      if (lines.are_told && data) reads[count++] = static_cast<const T*>(data);
    const int64_t pieces = count == 0 ? 0 : static_cast<int64_t>(phases.size()) * panels() / count,
                  at = (&phase - phases.data()) * panels() + index;
    if (count == 0 || at / count >= pieces) return {};
    const int64_t first = input_line(lines.first) * c.width * c.channels,
                  size = (input_line(lines.last) * c.width * c.channels - first) * static_cast<int64_t>(sizeof(T)) /
                         pieces;
    return {reinterpret_cast<const char*>(reads[at % count] + first) + at / count * size,
            (size + depth * kLine - 1) / (depth * kLine), depth * kLine, kLine};
  }

  // The sums of a phase and of panel `index`.
  void multiply_phase(const Phase& phase, int64_t index, const Lines<T>& lines, float* sums) const {
    const int64_t of_line = phase.columns.count * filters();
    const Element* right = packed_of(phase, index);
    ProductOf<Element> product{.rows = lines.count() * x.positions(),
                               .columns = std::min(round_up(c.channels - index * panel(), kLanes), panel()),
                               .left_row = left_row(),
                               .left_depth = 1,
                               .right_depth = panel(),
                               .product = sums,
                               .product_row = panel()};
    for (int64_t line = 0; line < phase.lines.count; ++line) {
      const int64_t place = (phase.lines.first + line - window_lines.first) * window_columns.count +
                            phase.columns.first - window_columns.first;
      for (int64_t d = 0; d < of_line; d += product.depth) {
        product.left = lines.windows + place * filters() + d;
        product.right = right;
        product.depth = std::min(kDepth, of_line - d);
        right += product.depth * panel();
        // The next panel, or that of the next phase, lies behind.
        product.ahead[0] = {right, panel() / kLanes, kLine, panel() * static_cast<int64_t>(sizeof(Element))};
        if (!product.add) {
          product.ahead[1] = pixels_ahead(phase, index, 0, lines, product.depth);
          product.ahead[2] = pixels_ahead(phase, index, 1, lines, product.depth);
          product.ahead[3] = reads_ahead(phase, index, lines, product.depth);
        } else {
          std::fill(product.ahead + 1, product.ahead + 4, Ahead{});
        }
        multiply(on.loops, product);
        product.add = true;
      }
    }
  }

  // The sums go to the pixels of their phase; to those that meet nothing, 0.
  void give(const Phase& phase, int64_t index, const Lines<T>& lines, const float* sums) const {
    const int64_t channel = index * panel(), width = std::min(c.channels - channel, panel()),
                  pixels = x.pixels(phase.column);
    for (int64_t line = lines.first; line < lines.last; ++line, sums += x.positions() * panel()) {
      if (line % y.positions() >= y.pixels(phase.row)) continue;
      const int64_t row = input_line(line) - input_line(lines.first) + phase.row;
      T* to = lines.to + (row * c.width + phase.column) * c.channels + channel;
      if (phase.places() > 0) {
        finish(on.loops, Finish<T>{pixels, width, sums, panel(), Epilogue{}, to, c.stride * c.channels});
      } else {
        for (int64_t i = 0; i < pixels; ++i) std::memset(to + i * c.stride * c.channels, 0, width * sizeof(T));
      }
    }
  }

  // Calls work(first, last) for the lines of positions of a part, those that are computed at once: as they are told,
  // whoever tells them, since sums that are made of them are grouped so.
  template <typename Work>
  void for_lines(int64_t part, const Work& work) const {
    const int64_t begin = line_of(parts.begin(part) / c.width), end = line_of(parts.begin(part + 1) / c.width),
                  calls = (end - begin + most_lines() - 1) / most_lines();
    for (int64_t call = 0; call < calls; ++call)
      work(begin + (end - begin) * call / calls, begin + (end - begin) * (call + 1) / calls);
  }

  void compute_part(int64_t part, int64_t first_panel, int64_t last_panel, float* scratch) const {
    float* sums = scratch + left_size();
    for_lines(part, [&](int64_t first, int64_t last) {
      auto* windows = reinterpret_cast<Element*>(scratch);
      Lines<T> lines{first, last, windows, reinterpret_cast<T*>(sums + sums_size()),
                     done.call && last_panel - first_panel == panels()};
      const int64_t first_row = input_line(lines.first) * c.width, last_row = input_line(lines.last) * c.width;
      if (dx) lines.to = dx + first_row * c.channels;
      gather(lines.first, lines.last, windows);
      for (const Phase& phase : phases)
        for (int64_t p = first_panel; p < last_panel; ++p) {
          if (phase.places() > 0) multiply_phase(phase, p, lines, sums);
          give(phase, p, lines, sums);
        }
      if (lines.are_told) done.call(part, first_row, last_row, lines.to);
    });
  }

  void run() const {
    const int64_t by_columns =
        parts.parts >= 2 * on.threads || !dx ? 1 : std::min(panels(), (2 * on.threads + parts.parts - 1) / parts.parts);
    const int64_t blocks = parts.parts * by_columns, each = round_up(left_size() + sums_size() + rows_size(), kLanes);
    float* scratch = on.scratch(std::min(on.threads, blocks) * each);
    for_all(blocks, on, [&](int64_t block, int64_t worker) {
      const int64_t column = block % by_columns;
      compute_part(block / by_columns, panels() * column / by_columns, panels() * (column + 1) / by_columns,
                   scratch + worker * each);
    });
    if (by_columns == 1 || !done.call) return;
    on.run(parts.parts, [&](int64_t part) {
      for_lines(part, [&](int64_t first, int64_t last) {
        const int64_t first_row = input_line(first) * c.width;
        done.call(part, first_row, input_line(last) * c.width, dx + first_row * c.channels);
      });
    });
  }

  void pack(const T* filter) {
    auto* to = reinterpret_cast<Element*>(on.scratch(places() * filters() * panels() * panel()));
    packed = to;
    on.run(static_cast<int64_t>(phases.size()) * panels(), [&](int64_t part) {
      const Phase& phase = phases[part / panels()];
      const int64_t p = part % panels();
      Element* at = to + (packed_of(phase, p) - packed);
      for (int64_t i = 0; i < phase.lines.count; ++i)
        for (int64_t j = 0; j < phase.columns.count; ++j, at += filters() * panel()) {
          const int64_t row = y.filter_of(phase.row, phase.lines.first + i),
                        column = x.filter_of(phase.column, phase.columns.first + j);
          transpose_panel(
              reinterpret_cast<const Element*>(filter + (row * c.filter_width + column) * c.channels * c.filters),
              filters(), p * panel(), std::min(c.channels, (p + 1) * panel()), panel(), at);
        }
    });
  }
};

}  // namespace

int64_t strided_unit(const Convolution& c) {
  const Side y = rows_of(c), x = columns_of(c);
  // Lines of two images lie together only where no phase has more of them than others.
  if (c.height % c.stride > 0) return c.height * c.width;
  const int64_t lines = (RowParts::kFewest + x.positions() - 1) / std::max<int64_t>(x.positions(), 1);
  return std::min(lines, y.positions() * c.batch) * c.stride * c.width;
}

template <typename T>
void strided_input_gradient(const Convolution& c, const T* filter, const T* dy, T* dx, const RowsDone& done,
                            const Resources& on) {
  Task<T> task{c, dy, dx, done, on};
  task.pack(filter);
  task.run();
}
template void strided_input_gradient(const Convolution&, const float*, const float*, float*, const RowsDone&,
                                     const Resources&);
template void strided_input_gradient(const Convolution&, const bfloat16_bits*, const bfloat16_bits*, bfloat16_bits*,
                                     const RowsDone&, const Resources&);

}  // namespace mox::convolutions
