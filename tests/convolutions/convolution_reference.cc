#include "convolutions/convolution_reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <cmath>
#include <list>
#include <random>
#include <thread>

namespace mox::convolutions::testing {

float to_float(float v) { return v; }
float to_float(bfloat16_bits v) {
  const uint32_t bits = uint32_t{v} << 16;
  float f;
  std::memcpy(&f, &bits, sizeof f);
  return f;
}
template <>
float from_float<float>(float v) {
  return v;
}
template <>
bfloat16_bits from_float<bfloat16_bits>(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  if (std::isnan(v)) return static_cast<bfloat16_bits>(bits >> 16 | 0x40);
  return static_cast<bfloat16_bits>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

std::string text(const Shape& s) {
  return fmt::format("[{},{},{},{}] with {}x{} to {}, stride {}, {}", s.batch, s.height, s.width, s.channels,
                     s.filter_height, s.filter_width, s.filters, s.stride,
                     !s.pads.empty() ? fmt::format("padded by {}", fmt::join(s.pads, ","))
                     : s.same        ? "SAME"
                                     : "VALID");
}

Convolution convolution_of(const Shape& s) {
  Convolution c{.batch = s.batch,
                .height = s.height,
                .width = s.width,
                .channels = s.channels,
                .filters = s.filters,
                .filter_height = s.filter_height,
                .filter_width = s.filter_width,
                .stride = s.stride};
  const auto side = [&](int64_t in, int64_t filter, const int64_t* pads, int64_t* out, int64_t* pad) {
    if (pads) {
      *out = (in + pads[0] + pads[1] - filter + s.stride) / s.stride;
      *pad = pads[0];
      return;
    }
    *out = s.same ? (in + s.stride - 1) / s.stride : (in - filter + s.stride) / s.stride;
    *pad = s.same ? std::max<int64_t>((*out - 1) * s.stride + filter - in, 0) / 2 : 0;
  };
  const int64_t* pads = s.pads.empty() ? nullptr : s.pads.data();
  side(s.height, s.filter_height, pads, &c.out_height, &c.pad_top);
  side(s.width, s.filter_width, pads ? pads + 2 : nullptr, &c.out_width, &c.pad_left);
  if (c.out_height <= 0 || c.out_width <= 0) c.batch = 0;
  return c;
}

namespace {

template <typename T>
Guarded<T> numbers(int64_t count, std::mt19937* engine) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  Guarded<T> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = from_float<T>(uniform(*engine));
  return values;
}

template <typename T>
std::vector<float> floats(const Guarded<T>& from) {
  std::vector<float> to(from.size());
  for (int64_t i = 0; i < from.size(); ++i) to[i] = to_float(from[i]);
  return to;
}

// To numbers of T.
template <typename T>
Guarded<float> rounded(Guarded<float> values) {
  for (int64_t i = 0; i < values.size(); ++i) values[i] = to_float(from_float<T>(values[i]));
  return values;
}

Sums zeros(int64_t count) {
  return {std::vector<double>(count), std::vector<double>(count), std::vector<float>(count)};
}

void add_products(float a, const float* b, Sums* to) {
  double *values = to->values.data(), *magnitudes = to->magnitudes.data();
  float* plain = to->plain.data();
  const auto n = static_cast<int64_t>(to->values.size());
  for (int64_t i = 0; i < n; ++i) {
    const double product = static_cast<double>(a) * b[i];
    values[i] += product;
    magnitudes[i] += std::abs(product);
    plain[i] += a * b[i];
  }
}

}  // namespace

template <typename T>
Data<T>::Data(const Shape& s, int seed) : shape(s), c(convolution_of(s)) {
  std::mt19937 engine(seed);
  x = numbers<T>(c.batch * c.height * c.width * c.channels, &engine);
  dy = numbers<T>(c.batch * c.out_height * c.out_width * c.filters, &engine);
  filter = rounded<T>(numbers<float>(c.filter_height * c.filter_width * c.channels * c.filters, &engine));
  bias = rounded<T>(numbers<float>(c.filters, &engine));
  x32_ = floats(x);
  dy32_ = floats(dy);
  transposed_.resize(filter.size());
  for (int64_t place = 0; place < c.filter_height * c.filter_width; ++place)
    for (int64_t i = 0; i < c.channels; ++i)
      for (int64_t k = 0; k < c.filters; ++k)
        transposed_[(place * c.filters + k) * c.channels + i] = filter[(place * c.channels + i) * c.filters + k];
}

template <typename T>
Sums Data<T>::y(int64_t row) const {
  const int64_t ox = row % c.out_width, oy = row / c.out_width % c.out_height,
                image = row / (c.out_width * c.out_height);
  Sums sums = zeros(c.filters);
  for (int64_t r = 0; r < c.filter_height; ++r)
    for (int64_t s = 0; s < c.filter_width; ++s) {
      const int64_t iy = oy * c.stride + r - c.pad_top, ix = ox * c.stride + s - c.pad_left;
      if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
      for (int64_t i = 0; i < c.channels; ++i)
        add_products(x32_[((image * c.height + iy) * c.width + ix) * c.channels + i],
                     filter.data() + ((r * c.filter_width + s) * c.channels + i) * c.filters, &sums);
    }
  return sums;
}

template <typename T>
Sums Data<T>::dx(int64_t row) const {
  const int64_t ix = row % c.width, iy = row / c.width % c.height, image = row / (c.width * c.height);
  Sums sums = zeros(c.channels);
  for (int64_t r = 0; r < c.filter_height; ++r)
    for (int64_t s = 0; s < c.filter_width; ++s) {
      const int64_t y_strided = iy + c.pad_top - r, x_strided = ix + c.pad_left - s, oy = y_strided / c.stride,
                    ox = x_strided / c.stride;
      if (y_strided < 0 || x_strided < 0 || y_strided % c.stride || x_strided % c.stride || oy >= c.out_height ||
          ox >= c.out_width)
        continue;
      for (int64_t k = 0; k < c.filters; ++k)
        add_products(dy32_[((image * c.out_height + oy) * c.out_width + ox) * c.filters + k],
                     transposed_.data() + ((r * c.filter_width + s) * c.filters + k) * c.channels, &sums);
    }
  return sums;
}

template <typename T>
Sums Data<T>::dfilter(int64_t row) const {
  const int64_t i = row % c.channels, s = row / c.channels % c.filter_width, r = row / (c.channels * c.filter_width);
  Sums sums = zeros(c.filters);
  for (int64_t pixel = 0; pixel < rows_of_y(); ++pixel) {
    const int64_t ox = pixel % c.out_width, oy = pixel / c.out_width % c.out_height,
                  image = pixel / (c.out_width * c.out_height);
    const int64_t iy = oy * c.stride + r - c.pad_top, ix = ox * c.stride + s - c.pad_left;
    if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
    add_products(x32_[((image * c.height + iy) * c.width + ix) * c.channels + i], dy32_.data() + pixel * c.filters,
                 &sums);
  }
  return sums;
}

template struct Data<float>;
template struct Data<bfloat16_bits>;

std::vector<LoopsOf> loops_of_this_machine() {
  std::vector<LoopsOf> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    found.push_back({"AVX-512", convolution_loops_avx512()});
  if (!found.empty() && __builtin_cpu_supports("avx512bf16"))
    found.push_back({"AVX-512 with bfloat16", convolution_loops_avx512_bfloat16()});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    found.push_back({"AVX2", convolution_loops_avx2()});
#endif
  return found;
}

void on_threads(const ConvolutionLoops& loops, int64_t threads, const std::function<void(const Resources&)>& compute) {
  std::list<Guarded<float>> kept;
  const auto run = [threads](int64_t parts, const std::function<void(int64_t)>& work) {
    std::atomic<int64_t> next{0};
    const auto take = [&] {
      for (int64_t part = next++; part < parts; part = next++) work(part);
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < std::min(threads, parts); ++i) others.emplace_back(take);
    take();
    for (std::thread& other : others) other.join();
  };
  compute({loops, threads, run, [&](int64_t count) { return kept.emplace_back(count).data(); }});
}

const char* name_of(Result result) {
  constexpr const char* kNames[] = {"y by Winograd", "y", "dx", "dfilter"};
  return kNames[static_cast<int>(result)];
}

namespace {

bool is_for_winograd(const Convolution& c) {
  return (c.filter_height == 3 || c.filter_height == 5) && c.filter_width == c.filter_height && c.stride == 1 &&
         c.channels % kLanes == 0 && c.filters % kLanes == 0;
}

}  // namespace

bool mixes(Result result, const Convolution& c) { return result != Result::kDirect && is_for_winograd(c); }

template <typename T>
bool computes(Result result, const Convolution& c, const ConvolutionLoops& loops) {
  constexpr bool kFloat32 = sizeof(T) == 4;
  if (result == Result::kFilterGradient)
    return is_fast(Direction::kFilterGradient, c, kFloat32) && (kFloat32 || is_for_winograd(c) || loops.multiply_pairs);
  return kFloat32 && (result == Result::kDirect ? c.filters % kLanes == 0 : is_for_winograd(c));
}

template <typename T>
Guarded<float> compute(Result result, const Data<T>& data, const ConvolutionLoops& loops, int64_t threads,
                       const Epilogue& epilogue) {
  const Convolution& c = data.c;
  Guarded<float> to(result == Result::kFilterGradient  ? data.filter.size()
                    : result == Result::kInputGradient ? data.x.size()
                                                       : data.dy.size());
  on_threads(loops, threads, [&](const Resources& on) {
    if (result == Result::kFilterGradient)
      return gradient_of_filter(c, data.x.data(), Prologue{}, data.dy.data(), to.data(), on);
    if constexpr (sizeof(T) == 4) {
      if (result == Result::kInputGradient)
        return gradient_of_input(c, data.filter.data(), data.dy.data(), to.data(), RowsDone{}, on);
      const Algorithm algorithm = result == Result::kWinograd ? Algorithm::kWinograd : Algorithm::kDirect;
      Guarded<float> packed(packed_size(c, algorithm, on));
      pack(c, algorithm, data.filter.data(), packed.data(), on);
      convolve(c, algorithm, data.x.data(), Prologue{}, packed.data(), epilogue, to.data(), RowsDone{}, on);
    }
  });
  return to;
}

template bool computes<float>(Result, const Convolution&, const ConvolutionLoops&);
template bool computes<bfloat16_bits>(Result, const Convolution&, const ConvolutionLoops&);
template Guarded<float> compute(Result, const Data<float>&, const ConvolutionLoops&, int64_t, const Epilogue&);
template Guarded<float> compute(Result, const Data<bfloat16_bits>&, const ConvolutionLoops&, int64_t, const Epilogue&);

namespace {

// So many rows, the first and the last among them.
std::vector<int64_t> some_rows(int64_t rows, int64_t count) {
  std::vector<int64_t> some(std::clamp<int64_t>(count, std::min<int64_t>(rows, 2), rows));
  std::mt19937 engine(static_cast<unsigned>(rows));
  for (size_t i = 0; i < some.size(); ++i) some[i] = some.size() == rows ? i : static_cast<int64_t>(engine() % rows);
  some[0] = 0;
  some.back() = rows - 1;
  return some;
}

}  // namespace

template <typename T>
Wanted wanted_of(const Data<T>& data, Result result, int64_t budget) {
  const Convolution& c = data.c;
  const bool of_filter = result == Result::kFilterGradient, of_input = result == Result::kInputGradient;
  const int64_t products = of_filter ? data.rows_of_y() * c.filters : data.rows_of_dfilter() * c.filters;
  Wanted wanted;
  wanted.rows = some_rows(of_filter  ? data.rows_of_dfilter()
                          : of_input ? data.rows_of_dx()
                                     : data.rows_of_y(),
                          budget / products);
  for (const int64_t row : wanted.rows) {
    wanted.sums.push_back(of_filter ? data.dfilter(row) : of_input ? data.dx(row) : data.y(row));
    for (const double magnitude : wanted.sums.back().magnitudes) wanted.largest = std::max(wanted.largest, magnitude);
  }
  return wanted;
}

template Wanted wanted_of(const Data<float>&, Result, int64_t);
template Wanted wanted_of(const Data<bfloat16_bits>&, Result, int64_t);

}  // namespace mox::convolutions::testing
