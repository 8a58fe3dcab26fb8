#include "data/resize_loops.h"

#include <algorithm>
#include <cstring>

#include "base/for_each_cpu.h"

// Compiled with -O3 and without fused multiply-add (src/CMakeLists.txt): that would round otherwise than TensorFlow
// does.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#define MOX_HAS_BLOCKS 1
#else
#define MOX_HAS_BLOCKS 0
#endif

namespace mox::data {

namespace {

constexpr size_t kLanes = 16;

using Bytes4 = uint8_t __attribute__((vector_size(4)));
using Ints4 = int32_t __attribute__((vector_size(16)));
using Floats4 = float __attribute__((vector_size(16)));

inline __attribute__((always_inline)) Floats4 load_pixel(const uint8_t* from) {
  Bytes4 bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(__builtin_convertvector(bytes, Ints4), Floats4);
}

// Each pixel is moved as four values, of which the next one covers the last.
MOX_FOR_EACH_CPU void resize_pixels(const uint8_t* row, const int32_t* lower, const int32_t* upper, const float* lerp,
                                    size_t width, float* out) {
  for (size_t x = 0; x < width; ++x, out += 3) {
    const Floats4 from = load_pixel(row + lower[x]), to = load_pixel(row + upper[x]);
    const Floats4 value = from + (to - from) * lerp[x];
    std::memcpy(out, &value, sizeof value);
  }
}

#if MOX_HAS_BLOCKS
// The bytes are picked by one permutation.
template <typename Block>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) void resize_blocks(const uint8_t* row,
                                                                                   const std::vector<Block>& blocks,
                                                                                   const float* lerp, float* out) {
  for (const Block& block : blocks) {
    const __m512i bytes = _mm512_loadu_si512(row + block.base);
    const __m256i index = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.index));
    const __m256i picked = _mm512_castsi512_si256(_mm512_permutexvar_epi8(_mm512_castsi256_si512(index), bytes));
    const __m512 from = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm256_castsi256_si128(picked)));
    const __m512 to = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm256_extracti128_si256(picked, 1)));
    _mm512_storeu_ps(out, _mm512_add_ps(from, _mm512_mul_ps(_mm512_sub_ps(to, from), _mm512_loadu_ps(lerp))));
    lerp += kLanes;
    out += kLanes;
  }
}

bool has_blocks() {
  static const bool has =
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return has;
}
#endif

}  // namespace

void RowResizer::set(const Interpolation& columns, int32_t left) {
  const size_t width = columns.lower.size();
  lower_.resize(width);
  upper_.resize(width);
  for (size_t x = 0; x < width; ++x) {
    lower_[x] = (columns.lower[x] - left) * 3;
    upper_[x] = (columns.upper[x] - left) * 3;
  }
  lerp_ = columns.lerp;
  if (!make_blocks()) blocks_.clear();
}

bool RowResizer::make_blocks() {
#if MOX_HAS_BLOCKS
  if (!has_blocks()) return false;
  const size_t width = lower_.size(), count = 3 * width, blocks = (count + kLanes - 1) / kLanes;
  blocks_.resize(blocks);
  block_lerp_.resize(blocks * kLanes);
  for (size_t b = 0; b < blocks; ++b) {
    Block& block = blocks_[b];
    const size_t begin = b * kLanes / 3, end = std::min(width, (b * kLanes + kLanes - 1) / 3 + 1);
    // Not the first: columns run backwards in a picture that is mirrored.
    block.base = *std::min_element(lower_.begin() + static_cast<std::ptrdiff_t>(begin),
                                   lower_.begin() + static_cast<std::ptrdiff_t>(end));
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t at = std::min(b * kLanes + lane, count - 1), pixel = at / 3;
      const int32_t channel = static_cast<int32_t>(at % 3) - block.base;
      const int32_t lower = lower_[pixel] + channel, upper = upper_[pixel] + channel;
      if (std::max(lower, upper) >= 64) return false;
      block.index[lane] = static_cast<uint8_t>(lower);
      block.index[kLanes + lane] = static_cast<uint8_t>(upper);
      block_lerp_[b * kLanes + lane] = lerp_[pixel];
    }
  }
  return true;
#else
  return false;
#endif
}

void RowResizer::apply(const uint8_t* row, float* out) const {
#if MOX_HAS_BLOCKS
  if (!blocks_.empty()) return resize_blocks(row, blocks_, block_lerp_.data(), out);
#endif
  resize_pixels(row, lower_.data(), upper_.data(), lerp_.data(), lower_.size(), out);
}

MOX_FOR_EACH_CPU void blend_without_mean(const float* __restrict top, const float* __restrict bottom, float lerp,
                                         const float* __restrict mean, size_t count, float* __restrict out) {
  for (size_t i = 0; i < count; ++i) out[i] = (top[i] + (bottom[i] - top[i]) * lerp) - mean[i];
}

MOX_FOR_EACH_CPU void blend_to_unit(const float* __restrict top, const float* __restrict bottom, float lerp,
                                    size_t count, float* __restrict out) {
  for (size_t i = 0; i < count; ++i) out[i] = ((top[i] + (bottom[i] - top[i]) * lerp) * (1.f / 255.f) - 0.5f) * 2.f;
}

namespace {

// TensorFlow goes by hue, saturation and value. With the hue as it is, and the value, which is the largest channel,
// each channel's distance from the value grows as the saturation does; that is at most 1, where the distance of the
// least channel is the value itself. A red whose hue is so little below 0 that it is rounded to a whole turn has no
// colour in TensorFlow: all its channels are the least one. So it is here.
MOX_FOR_EACH_CPU void blend_pixels(const float* __restrict top, const float* __restrict bottom, float lerp,
                                   float brightness, float saturation, size_t begin, size_t width,
                                   float* __restrict out) {
  for (size_t i = 3 * begin; i < 3 * width; i += 3) {
    float channel[3];
    for (size_t c = 0; c < 3; ++c)
      channel[c] = (top[i + c] + (bottom[i + c] - top[i + c]) * lerp) * (1.f / 255.f) + brightness;
    const float high = channel[0] > channel[1] ? channel[0] : channel[1];
    const float low = channel[0] > channel[1] ? channel[1] : channel[0];
    const float value = high > channel[2] ? high : channel[2];
    const float range = value - (low > channel[2] ? channel[2] : low);
    const float most = value / range;  // of a grey pixel infinite, or no number where it is black
    const float factor = value > 0.f ? (most < saturation ? most : saturation) : 0.f;
    const float hue = 1.f / (6.f * range) * (channel[1] - channel[2]);
    const bool lost = channel[0] == value && hue < 0.f && hue + 1.f >= 1.f;
    for (size_t c = 0; c < 3; ++c) {
      float changed = value - (lost ? range : value - channel[c]) * factor;
      changed = changed < 0.f ? 0.f : changed;
      changed = changed > 1.f ? 1.f : changed;
      out[i + c] = (changed - 0.5f) * 2.f;
    }
  }
}

#if MOX_HAS_BLOCKS
#define MOX_AVX512 __attribute__((target("avx512f"), always_inline)) inline

// 48 floats of 16 pixels, as they lie or a register a channel.
struct Pixels {
  __m512 part[3];
};

// Lane i of a channel is float 3 * i + channel: from the first two parts, then from the third.
struct Lanes {
  int32_t first[3][kLanes], second[3][kLanes];
};

constexpr Lanes channels_of_parts() {
  Lanes lanes{};
  for (int32_t c = 0; c < 3; ++c)
    for (int32_t i = 0; i < 16; ++i) {
      const int32_t at = 3 * i + c;
      lanes.first[c][i] = at % 32;
      lanes.second[c][i] = at < 32 ? i : at - 32 + 16;
    }
  return lanes;
}

// Float j of part p is channel (16 p + j) % 3 of pixel (16 p + j) / 3: from red and green, then from blue.
constexpr Lanes parts_of_channels() {
  Lanes lanes{};
  for (int32_t p = 0; p < 3; ++p)
    for (int32_t j = 0; j < 16; ++j) {
      const int32_t channel = (16 * p + j) % 3, pixel = (16 * p + j) / 3;
      lanes.first[p][j] = channel == 1 ? pixel + 16 : pixel;
      lanes.second[p][j] = channel == 2 ? pixel + 16 : j;
    }
  return lanes;
}

constexpr Lanes kChannels = channels_of_parts(), kParts = parts_of_channels();

MOX_AVX512 Pixels rearranged(const Pixels& from, const Lanes& lanes) {
  Pixels to;
  for (int c = 0; c < 3; ++c) {
    const __m512 most = _mm512_permutex2var_ps(from.part[0], _mm512_loadu_si512(lanes.first[c]), from.part[1]);
    to.part[c] = _mm512_permutex2var_ps(most, _mm512_loadu_si512(lanes.second[c]), from.part[2]);
  }
  return to;
}

// As blend_pixels; returns how many pixels are done. The hue is asked for only where it may be so near to 0.
__attribute__((target("avx512f"))) size_t blend_sixteens(const float* top, const float* bottom, float lerp,
                                                         float brightness, float saturation, size_t width, float* out) {
  const __m512 zero = _mm512_setzero_ps(), one = _mm512_set1_ps(1.f), half = _mm512_set1_ps(0.5f);
  size_t x = 0;
  for (; x + kLanes <= width; x += kLanes) {
    Pixels blended;
    for (size_t p = 0; p < 3; ++p) {
      const __m512 from = _mm512_loadu_ps(top + 3 * x + p * kLanes), to = _mm512_loadu_ps(bottom + 3 * x + p * kLanes);
      const __m512 value = _mm512_add_ps(from, _mm512_mul_ps(_mm512_sub_ps(to, from), _mm512_set1_ps(lerp)));
      blended.part[p] = _mm512_add_ps(_mm512_mul_ps(value, _mm512_set1_ps(1.f / 255.f)), _mm512_set1_ps(brightness));
    }
    Pixels channel = rearranged(blended, kChannels);
    const __m512 red = channel.part[0], green = channel.part[1], blue = channel.part[2];
    const __m512 value = _mm512_max_ps(_mm512_max_ps(red, green), blue);
    const __m512 range = _mm512_sub_ps(value, _mm512_min_ps(_mm512_min_ps(red, green), blue));
    const __m512 most = _mm512_div_ps(value, range);
    const __m512 factor =
        _mm512_maskz_min_ps(_mm512_cmp_ps_mask(value, zero, _CMP_GT_OQ), most, _mm512_set1_ps(saturation));
    const __m512 below = _mm512_sub_ps(green, blue);
    const __mmask16 near_red =
        _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(red, value, _CMP_EQ_OQ), below, zero, _CMP_LT_OQ);
    __mmask16 lost = _mm512_mask_cmp_ps_mask(
        near_red, _mm512_add_ps(_mm512_mul_ps(range, _mm512_set1_ps(1e-6f)), below), zero, _CMP_GE_OQ);
    if (lost != 0) {
      const __m512 hue = _mm512_mul_ps(_mm512_div_ps(one, _mm512_mul_ps(_mm512_set1_ps(6.f), range)), below);
      lost = _mm512_mask_cmp_ps_mask(lost, _mm512_add_ps(hue, one), one, _CMP_GE_OQ);
    }
    for (__m512& part : channel.part) {
      const __m512 distance = _mm512_mask_blend_ps(lost, _mm512_sub_ps(value, part), range);
      const __m512 changed = _mm512_sub_ps(value, _mm512_mul_ps(distance, factor));
      const __m512 cut = _mm512_min_ps(_mm512_max_ps(changed, zero), one);
      part = _mm512_mul_ps(_mm512_sub_ps(cut, half), _mm512_set1_ps(2.f));
    }
    const Pixels done = rearranged(channel, kParts);
    for (size_t p = 0; p < 3; ++p) _mm512_storeu_ps(out + 3 * x + p * kLanes, done.part[p]);
  }
  return x;
}
#endif

}  // namespace

void blend_colours(const float* top, const float* bottom, float lerp, float brightness, float saturation, size_t width,
                   float* out) {
  size_t done = 0;
#if MOX_HAS_BLOCKS
  static const bool has_sixteens = __builtin_cpu_supports("avx512f");
  if (has_sixteens) done = blend_sixteens(top, bottom, lerp, brightness, saturation, width, out);
#endif
  blend_pixels(top, bottom, lerp, brightness, saturation, done, width, out);
}

}  // namespace mox::data
