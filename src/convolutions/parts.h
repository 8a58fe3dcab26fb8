// What the files of convolutions/convolution.h share: arguments are as there.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "convolutions/convolution.h"

namespace mox::convolutions {

inline int64_t round_up(int64_t n, int64_t of) { return (n + of - 1) / of * of; }

// Each of `matrices` [rows][columns] -> [columns][rows]; both are multiples of kLanes.
void transpose(const float* from, int64_t matrices, int64_t rows, int64_t columns, float* to, const Resources& on);

// A row of a window, of `filter_width * channels` numbers that lie side by side in the image: numbers [begin, end) of
// it for the pixel `pixel` of the output and the row `filter_row` of the filter; 0 in the padding.
template <typename T>
void copy_window(const Convolution& c, const T* x, int64_t pixel, int64_t filter_row, int64_t begin, int64_t end,
                 T* to);

// `product` panel by panel of its right side, which is so large for its few rows that reading it takes as long as
// multiplying: the lines of the next panel, and after the last of `then` (nullptr: of nothing), as many as a panel has,
// come into the second cache meanwhile.
void multiply_few_rows(const ConvolutionLoops& loops, const Product& product, const float* then);

// What numbers are multiplied as: float32 one by one, bfloat16 by pairs that lie side by side.
template <typename T>
using Multiplied = std::conditional_t<std::is_same_v<T, float>, float, uint32_t>;
template <typename T>
constexpr int64_t kNumbers = sizeof(Multiplied<T>) / sizeof(T);

inline void multiply(const ConvolutionLoops& loops, const Product& product) { loops.multiply(product); }
inline void multiply(const ConvolutionLoops& loops, const PairProduct& product) { loops.multiply_pairs(product); }
inline void finish(const ConvolutionLoops& loops, const Finish<float>& finish) { loops.finish(finish); }
inline void finish(const ConvolutionLoops& loops, const Finish<bfloat16_bits>& finish) {
  loops.finish_bfloat16(finish);
}

// A panel of the filter's transpose: right(f, c) = filter[c][f] for columns c of [first, last), 0 behind them.
template <typename E>
void transpose_panel(const E* filter, int64_t depth, int64_t first, int64_t last, int64_t panel, E* to);

inline void prepare(const ConvolutionLoops& loops, const Prepare<float>& p) { loops.prepare(p); }
inline void prepare(const ConvolutionLoops& loops, const Prepare<bfloat16_bits>& p) { loops.prepare_bfloat16(p); }

// Calls work(part, worker) for `parts` parts, each worker being one thread, whose scratch memory may be its own.
template <typename Work>
void for_all(int64_t parts, const Resources& on, const Work& work) {
  std::atomic<int64_t> next{0};
  on.run(std::min(on.threads, parts), [&](int64_t worker) {
    for (int64_t part = next++; part < parts; part = next++) work(part, worker);
  });
}

// All parts, after a result is there.
template <typename T>
void call_for_parts(const RowsDone& done, const RowParts& parts, const T* y, int64_t columns, const Resources& on) {
  if (!done.call) return;
  on.run(parts.parts, [&](int64_t part) {
    const int64_t begin = parts.begin(part);
    done.call(part, begin, parts.begin(part + 1), y + begin * columns);
  });
}

// 1x1 filters: products of the pixels and the filter as they lie.
int64_t pointwise_size(const Convolution& c, bool float32, const Resources& on);
template <typename T>
void pointwise_pack(const Convolution& c, const T* filter, float* packed, const Resources& on);
template <typename T>
void pointwise(const Convolution& c, const T* x, const Prologue& prologue, const float* packed,
               const Epilogue& epilogue, T* y, const RowsDone& done, const Resources& on);
// With stride 1.
template <typename T>
void pointwise_input_gradient(const Convolution& c, const T* filter, const T* dy, T* dx, const RowsDone& done,
                              const StridedSide& side, const Resources& on);

// With a stride of 2 or more, any filter, of any channels; of an even number of filters in bfloat16.
template <typename T>
void strided_input_gradient(const Convolution& c, const T* filter, const T* dy, T* dx, const RowsDone& done,
                            const Resources& on);
// The rows of dx whose lines are made together.
int64_t strided_unit(const Convolution& c);

// As products of matrices. Packed: [filters / loops.columns][filter_height * filter_width * channels][loops.columns].
int64_t direct_size(const Convolution& c, const Resources& on);
void direct_pack(const Convolution& c, const float* filter, float* packed, const Resources& on);
void direct(const Convolution& c, const float* x, const float* packed, const Epilogue& epilogue, float* y,
            const Resources& on);
template <typename T>
void direct_filter_gradient(const Convolution& c, const T* x, const Prologue& prologue, const T* dy, float* dfilter,
                            const Resources& on);

// Images of at most four channels, larger filters than 1x1, a multiple of kLanes of them. Packed as for `direct`.
bool has_few_channels(const Convolution& c);
template <typename T>
void few_channels_pack(const Convolution& c, const T* filter, float* packed, const Resources& on);
template <typename T>
void few_channels(const Convolution& c, const T* x, const float* packed, const Epilogue& epilogue, T* y,
                  const RowsDone& done, const Resources& on);
template <typename T>
void few_channels_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on);

// 3x3 and 5x5 filters with stride 1, by Winograd's transforms.
int64_t winograd_size(const Convolution& c, const Resources& on);
void winograd_pack(const Convolution& c, const float* filter, float* packed, const Resources& on);
void winograd(const Convolution& c, const float* x, const float* packed, const Epilogue& epilogue, float* y,
              const Resources& on);
void winograd_input_gradient(const Convolution& c, const float* filter, const float* dy, float* dx,
                             const Resources& on);
template <typename T>
void winograd_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on);

}  // namespace mox::convolutions
