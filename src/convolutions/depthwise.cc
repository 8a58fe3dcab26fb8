#include "convolutions/depthwise.h"

#include <algorithm>
#include <utility>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

// So many products are worth a part of their own: some five microseconds.
constexpr int64_t kWorth = 1 << 17;
// Cuts of the rows whose sums of the gradient of the filter are added in the order of the rows: not of the threads,
// which would change the numbers.
constexpr int64_t kCuts = 8;

int64_t products(const Depthwise& d) { return d.batch * d.out_height * d.out_width * d.channels * d.size * d.size; }

// One a thread, several where there is much to do, so that one that is held up does not hold up all.
int64_t parts_of(const Depthwise& d, const Resources& on) {
  constexpr int64_t kPartsOfAThread = 4, kMuch = 1 << 21;
  const int64_t few = std::clamp<int64_t>(products(d) / kWorth, 1, on.threads);
  return std::clamp<int64_t>(products(d) / kMuch, few, on.threads * kPartsOfAThread);
}

// Part i of `count` of the channels, whole vectors but for the last.
std::pair<int64_t, int64_t> channels_of(const Depthwise& d, int64_t i, int64_t count) {
  const int64_t vectors = (d.channels + kLanes - 1) / kLanes;
  return {vectors * i / count * kLanes, std::min(d.channels, vectors * (i + 1) / count * kLanes)};
}

// Runs work(part, rows' number, worker) for parts of `rows` rows, by_rows of them, shared by channels where these are
// too few.
template <typename Work>
void for_parts(const Depthwise& d, int64_t rows, int64_t by_rows, const Resources& on, const Work& work) {
  const int64_t by_channels =
      std::clamp<int64_t>((parts_of(d, on) + by_rows - 1) / by_rows, 1, (d.channels + kLanes - 1) / kLanes);
  for_all(by_rows * by_channels, on, [&](int64_t part, int64_t worker) {
    const int64_t r = part / by_channels;
    const auto [first, last] = channels_of(d, part % by_channels, by_channels);
    work(DepthwisePart{rows * r / by_rows, rows * (r + 1) / by_rows, first, last}, r, worker);
  });
}

// What a batch norm before the convolution makes of x, for some lines of results at a time: it stays in the second
// cache.
template <typename T>
class Prepared {
 public:
  Prepared(const Depthwise& d, const T* x, const Prologue& prologue, const Resources& on)
      : d_(d), x_(x), prologue_(prologue), on_(on) {
    constexpr int64_t kFloats = 128 * 1024;
    lines_ = std::clamp<int64_t>((kFloats / line() - d.size) / d.stride + 1, 1, d.out_height);
    size_ = (((lines_ - 1) * d.stride + d.size) * line() * sizeof(T) / sizeof(float) / kLanes + 1) * kLanes;
    if (prologue.is_there()) scratch_ = on.scratch(on.threads * size_);
  }

  // Calls work(depthwise, x, first line, part) for all lines of the part: the depthwise convolution of a part of one
  // image, whose lines of results are counted from the first one; without a prologue once, as all is.
  template <typename Work>
  void for_lines(const DepthwisePart& part, int64_t worker, const Work& work) const {
    if (!prologue_.is_there()) return work(d_, x_, 0, part);
    T* lines = reinterpret_cast<T*>(scratch_ + worker * size_);
    for (int64_t begin = part.begin, end; begin < part.end; begin = end) {
      const int64_t image = begin / d_.out_height, oy = begin % d_.out_height;
      end = std::min({part.end, (image + 1) * d_.out_height, begin + lines_});
      const int64_t top = std::max<int64_t>(oy * d_.stride - d_.pad_top, 0),
                    bottom = std::clamp((oy + end - begin - 1) * d_.stride - d_.pad_top + d_.size, top, d_.height);
      prepare(on_.loops, Prepare<T>{(bottom - top) * d_.width, part.last - part.first,
                                    x_ + (image * d_.height + top) * line() + part.first, d_.channels,
                                    prologue_.from_channel(part.first), lines + part.first, d_.channels});
      Depthwise some = d_;
      some.batch = 1;
      some.height = bottom - top;
      some.out_height = end - begin;
      some.pad_top = d_.pad_top - oy * d_.stride + top;
      work(some, lines, begin, DepthwisePart{0, end - begin, part.first, part.last});
    }
  }
  // Lines of results that one preparation is for.
  int64_t lines() const { return prologue_.is_there() ? lines_ : 1; }

 private:
  int64_t line() const { return d_.width * d_.channels; }

  const Depthwise& d_;
  const T* x_;
  const Prologue& prologue_;
  const Resources& on_;
  int64_t lines_ = 1, size_ = 0;
  float* scratch_ = nullptr;
};

// Runs work(part, y, worker) for all lines of the result y, which may be null: they are only shown then. `lines` at a
// time where somebody looks at them.
template <typename T, typename Work>
void for_lines(const Depthwise& d, const RowParts& parts, int64_t lines, T* y, const RowsDone& done,
               const Resources& on, const Work& work) {
  if (!done.call)
    return for_parts(d, parts.units(), std::min(parts.units(), parts_of(d, on)), on,
                     [&](const DepthwisePart& part, int64_t, int64_t worker) { work(part, y, worker); });
  const int64_t size = parts.unit * d.channels, each = (lines * size * sizeof(T) / sizeof(float) / kLanes + 1) * kLanes;
  float* scratch = y ? nullptr : on.scratch(on.threads * each);
  for_all(parts.parts, on, [&](int64_t part, int64_t worker) {
    const int64_t last = parts.begin(part + 1) / parts.unit;
    for (int64_t line = parts.begin(part) / parts.unit, end; line < last; line = end) {
      end = std::min(line + lines, last);
      T* made = y ? y + line * size : reinterpret_cast<T*>(scratch + worker * each);
      work(DepthwisePart{line, end, 0, d.channels}, made - line * size, worker);
      done.call(part, line * parts.unit, end * parts.unit, made);
    }
  });
}

}  // namespace

bool is_fast(const Depthwise& d) {
  return depthwise_loops() && (d.size == 3 || d.size == 5 || d.size == 7) && (d.stride == 1 || d.stride == 2) &&
         d.channels > 0;
}

template <typename T>
void depthwise(const Depthwise& d, const T* x, const Prologue& prologue, const float* filter, const Epilogue& epilogue,
               T* y, const RowsDone& done, const DepthwiseLoops& loops, const Resources& on) {
  const Prepared<T> prepared(d, x, prologue, on);
  for_lines(d, parts_of_output(d), prepared.lines(), y, done, on, [&](const DepthwisePart& all, T* to, int64_t worker) {
    prepared.for_lines(all, worker, [&](const Depthwise& of, const T* lines, int64_t first, const DepthwisePart& part) {
      loops.of<T>().forward(of, lines, filter, epilogue, to + first * d.out_width * d.channels, part);
    });
  });
}

template <typename T>
void depthwise_input_gradient(const Depthwise& d, const float* filter, const T* dy, T* dx, const RowsDone& done,
                              const DepthwiseLoops& loops, const Resources& on) {
  for_lines(d, parts_of_input(d), 1, dx, done, on,
            [&](const DepthwisePart& part, T* to, int64_t) { loops.of<T>().input_gradient(d, filter, dy, to, part); });
}

template <typename T>
void depthwise_filter_gradient(const Depthwise& d, const T* x, const Prologue& prologue, const T* dy, float* dfilter,
                               const DepthwiseLoops& loops, const Resources& on) {
  const int64_t rows = d.batch * d.out_height,
                cuts = std::min(std::clamp<int64_t>(products(d) / kWorth, 1, kCuts), rows),
                size = d.size * d.size * d.channels,
                each = (size + kLanes - 1) / kLanes * kLanes;  // no two threads write to one line of a cache
  float* sums = on.scratch(cuts * each);
  std::fill_n(sums, cuts * each, 0.f);
  const Prepared<T> prepared(d, x, prologue, on);
  for_parts(d, rows, cuts, on, [&](const DepthwisePart& all, int64_t cut, int64_t worker) {
    prepared.for_lines(all, worker, [&](const Depthwise& of, const T* lines, int64_t first, const DepthwisePart& part) {
      loops.of<T>().filter_gradient(of, lines, dy + first * d.out_width * d.channels, sums + cut * each, part);
    });
  });
  std::copy_n(sums, size, dfilter);
  for (int64_t cut = 1; cut < cuts; ++cut)
    for (int64_t i = 0; i < size; ++i) dfilter[i] += sums[cut * each + i];
}

#define MOX_INSTANTIATE(T)                                                                                \
  template void depthwise(const Depthwise&, const T*, const Prologue&, const float*, const Epilogue&, T*, \
                          const RowsDone&, const DepthwiseLoops&, const Resources&);                      \
  template void depthwise_input_gradient(const Depthwise&, const float*, const T*, T*, const RowsDone&,   \
                                         const DepthwiseLoops&, const Resources&);                        \
  template void depthwise_filter_gradient(const Depthwise&, const T*, const Prologue&, const T*, float*,  \
                                          const DepthwiseLoops&, const Resources&);
MOX_INSTANTIATE(float)
MOX_INSTANTIATE(bfloat16_bits)
#undef MOX_INSTANTIATE

}  // namespace mox::convolutions
