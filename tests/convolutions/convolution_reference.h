// Convolutions by their definition, and what tests of convolutions/convolution.h run them on: memory that faults beyond
// its end, and threads.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "convolutions/convolution.h"

namespace mox::convolutions::testing {

// Memory that ends where no page follows (but for what aligns its start to 64 bytes): who reads or writes on is killed
// by a signal. All bits are set at first: a NaN.
template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(int64_t count) : count_(count) {
    const size_t page = sysconf(_SC_PAGESIZE), bytes = (count * sizeof(T) + 63) / 64 * 64,
                 whole = (bytes + page - 1) / page * page;
    auto* begin =
        static_cast<char*>(mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (begin == MAP_FAILED || mprotect(begin + whole, page, PROT_NONE) != 0) throw std::bad_alloc();
    memory_ = {begin, Unmap{whole + page}};
    data_ = reinterpret_cast<T*>(begin + whole - bytes);
    std::memset(data_, 0xff, bytes);
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return count_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  // Whether nobody wrote to what aligns it.
  bool is_end_untouched() const {
    const auto* end = reinterpret_cast<const unsigned char*>(data_ + count_);
    return std::all_of(end, end + (64 - count_ * sizeof(T) % 64) % 64, [](unsigned char c) { return c == 0xff; });
  }
  bool same_bits(const Guarded& other) const {
    return count_ == other.count_ && std::memcmp(data_, other.data_, count_ * sizeof(T)) == 0;
  }

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(char* begin) const { munmap(begin, bytes); }
  };
  int64_t count_ = 0;
  T* data_ = nullptr;
  std::unique_ptr<char, Unmap> memory_;
};

float to_float(float v);
float to_float(bfloat16_bits v);
// Rounds to nearest, ties to even.
template <typename T>
T from_float(float v);

struct Shape {
  int64_t batch, height, width, channels, filters;
  int64_t filter_height = 3, filter_width = 3, stride = 1;
  bool same = true;  // the padding: SAME or VALID
  // In its place, where it is given: above, below, left and right.
  std::vector<int64_t> pads = {};
};
std::string text(const Shape& shape);
// Empty outputs (VALID, and the image smaller than the filter): batch 0.
Convolution convolution_of(const Shape& shape);

// The elements of one row of a result: by the definition in double, the sums of the products' absolute values, and in
// float32, term by term.
struct Sums {
  std::vector<double> values, magnitudes;
  std::vector<float> plain;
};

// Inputs of a convolution; numbers of T between -1 and 1, the same for the same seed.
template <typename T>
struct Data {
  Data(const Shape& shape, int seed);

  // Row i of y [pixel][filter], of dx [pixel][channel] and of dfilter [place][channel][filter] as [place *
  // channel][filter].
  Sums y(int64_t row) const;
  Sums dx(int64_t row) const;
  Sums dfilter(int64_t row) const;
  int64_t rows_of_y() const { return c.batch * c.out_height * c.out_width; }
  int64_t rows_of_dx() const { return c.batch * c.height * c.width; }
  int64_t rows_of_dfilter() const { return c.filter_height * c.filter_width * c.channels; }

  Shape shape;
  Convolution c;
  Guarded<T> x, dy;
  Guarded<float> filter, bias;

 private:
  std::vector<float> x32_, dy32_, transposed_;  // transposed_: [height, width, filters, channels]
};

struct LoopsOf {
  std::string name;
  const ConvolutionLoops* loops;
};
// Those that this machine runs.
std::vector<LoopsOf> loops_of_this_machine();

// Calls compute(resources) with so many threads, each of them one of its own, and scratch memory full of NaNs.
void on_threads(const ConvolutionLoops& loops, int64_t threads, const std::function<void(const Resources&)>& compute);

enum class Result { kWinograd, kDirect, kInputGradient, kFilterGradient };
constexpr Result kResults[] = {Result::kWinograd, Result::kDirect, Result::kInputGradient, Result::kFilterGradient};
const char* name_of(Result result);

// Whether Winograd's algorithm computes it: its errors are those of a tile, and what is not finite spreads in it.
bool mixes(Result result, const Convolution& c);
// Whether these loops compute it.
template <typename T>
bool computes(Result result, const Convolution& c, const ConvolutionLoops& loops);

// The result: y, dx or dfilter; each from scratch.
template <typename T>
Guarded<float> compute(Result result, const Data<T>& data, const ConvolutionLoops& loops, int64_t threads,
                       const Epilogue& epilogue = {});

// The largest error, relative to the sum of the products' absolute values, the magnitude.
//
// A sum of n products in float32, in any order, errs by at most about n * 6e-8 of its magnitude, and by about sqrt(n) *
// 6e-8 where errors have either sign: products of matrices keep to that at each element. Winograd's algorithm sums
// products of mixtures of all that a tile has: its errors are those of the largest magnitude nearby, not of the
// element's own (4/9 of it at a corner; one product where the image is as small as the filter), and its transforms
// multiply by up to about ten. Both stay below this.
constexpr double kBound = 3e-6;

// Some rows of a result by the definition.
struct Wanted {
  std::vector<int64_t> rows;
  std::vector<Sums> sums;
  double largest = 0;  // magnitude
};

// As many as about `budget` products allow, the first and the last among them.
template <typename T>
Wanted wanted_of(const Data<T>& data, Result result, int64_t budget);

template <typename T>
std::string name_of(const LoopsOf& of, const Data<T>& data, Result result) {
  return of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + text(data.shape) + ", " + name_of(result);
}

class ConvolutionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (loops_of_this_machine().empty()) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
    if (loops_of_this_machine().size() < 3)
      std::printf("this processor lacks AVX-512 or its products of bfloat16: not all is tested\n");
  }
};

}  // namespace mox::convolutions::testing
