#include "convolutions/depthwise.h"

#include <algorithm>
#include <utility>

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

// Runs work(part, rows' number) for parts of `rows` rows, by_rows of them, shared by channels where these are too few.
template <typename Work>
void for_parts(const Depthwise& d, int64_t rows, int64_t by_rows, const Resources& on, const Work& work) {
  const int64_t by_channels =
      std::clamp<int64_t>((parts_of(d, on) + by_rows - 1) / by_rows, 1, (d.channels + kLanes - 1) / kLanes);
  on.run(by_rows * by_channels, [&](int64_t part) {
    const int64_t r = part / by_channels;
    const auto [first, last] = channels_of(d, part % by_channels, by_channels);
    work(DepthwisePart{rows * r / by_rows, rows * (r + 1) / by_rows, first, last}, r);
  });
}

}  // namespace

bool is_fast(const Depthwise& d) {
  return depthwise_loops() && (d.size == 3 || d.size == 5 || d.size == 7) && (d.stride == 1 || d.stride == 2) &&
         d.channels > 0;
}

template <typename T>
void depthwise(const Depthwise& d, const T* x, const float* filter, const Epilogue& epilogue, T* y,
               const DepthwiseLoops& loops, const Resources& on) {
  const int64_t rows = d.batch * d.out_height;
  for_parts(d, rows, std::min(rows, parts_of(d, on)), on,
            [&](const DepthwisePart& part, int64_t) { loops.of<T>().forward(d, x, filter, epilogue, y, part); });
}

template <typename T>
void depthwise_input_gradient(const Depthwise& d, const float* filter, const T* dy, T* dx, const DepthwiseLoops& loops,
                              const Resources& on) {
  const int64_t rows = d.batch * d.height;
  for_parts(d, rows, std::min(rows, parts_of(d, on)), on,
            [&](const DepthwisePart& part, int64_t) { loops.of<T>().input_gradient(d, filter, dy, dx, part); });
}

template <typename T>
void depthwise_filter_gradient(const Depthwise& d, const T* x, const T* dy, float* dfilter, const DepthwiseLoops& loops,
                               const Resources& on) {
  const int64_t rows = d.batch * d.out_height,
                cuts = std::min(std::clamp<int64_t>(products(d) / kWorth, 1, kCuts), rows),
                size = d.size * d.size * d.channels,
                each = (size + kLanes - 1) / kLanes * kLanes;  // no two threads write to one line of a cache
  float* sums = on.scratch(cuts * each);
  std::fill_n(sums, cuts * each, 0.f);
  for_parts(d, rows, cuts, on, [&](const DepthwisePart& part, int64_t cut) {
    loops.of<T>().filter_gradient(d, x, dy, sums + cut * each, part);
  });
  std::copy_n(sums, size, dfilter);
  for (int64_t cut = 1; cut < cuts; ++cut)
    for (int64_t i = 0; i < size; ++i) dfilter[i] += sums[cut * each + i];
}

template void depthwise(const Depthwise&, const float*, const float*, const Epilogue&, float*, const DepthwiseLoops&,
                        const Resources&);
template void depthwise(const Depthwise&, const bfloat16_bits*, const float*, const Epilogue&, bfloat16_bits*,
                        const DepthwiseLoops&, const Resources&);
template void depthwise_input_gradient(const Depthwise&, const float*, const float*, float*, const DepthwiseLoops&,
                                       const Resources&);
template void depthwise_input_gradient(const Depthwise&, const float*, const bfloat16_bits*, bfloat16_bits*,
                                       const DepthwiseLoops&, const Resources&);
template void depthwise_filter_gradient(const Depthwise&, const float*, const float*, float*, const DepthwiseLoops&,
                                        const Resources&);
template void depthwise_filter_gradient(const Depthwise&, const bfloat16_bits*, const bfloat16_bits*, float*,
                                        const DepthwiseLoops&, const Resources&);

}  // namespace mox::convolutions
