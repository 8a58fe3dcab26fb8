// The arithmetic of a resized picture, row by row: plain loops that the compiler makes for several instruction sets.
// The numbers are those of TensorFlow's ResizeBilinear, to the last bit, and of the operations that follow it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mox::data {

// So many bytes after a row's last pixel, and floats after an output row's last, may be read or written.
constexpr size_t kRowSlack = 64;

// Where the values along one side of the output come from: value i is that at `lower` and that at `upper`, `lerp` of
// the way from one to the other.
struct Interpolation {
  std::vector<int32_t> lower, upper;
  std::vector<float> lerp;

  void resize(size_t size) {
    lower.resize(size);
    upper.resize(size);
    lerp.resize(size);
  }
};

// Rows of three-byte pixels become rows of floats of another width.
class RowResizer {
 public:
  // `columns` in pixels; `left` is where the rows that apply() gets begin.
  void set(const Interpolation& columns, int32_t left);
  // `row` begins at pixel `left`; `out` has 3 * width floats.
  void apply(const uint8_t* row, float* out) const;

 private:
  // 16 floats of the output, from 64 bytes of the row.
  struct Block {
    int32_t base;       // of the bytes
    uint8_t index[32];  // of the 16 lower ones, then of the upper ones, from there
  };
  bool make_blocks();

  std::vector<int32_t> lower_, upper_;  // bytes
  std::vector<float> lerp_;             // of pixels
  std::vector<Block> blocks_;           // none where the processor has no use for them, or the picture shrinks too far
  std::vector<float> block_lerp_;       // of floats
};

// What follows: `count` floats between two resized rows, `lerp` of the way, then
// minus the mean (vgg), of `count` floats;
void blend_without_mean(const float* top, const float* bottom, float lerp, const float* mean, size_t count, float* out);
// or from 0..255 to -1..1 (inception);
void blend_to_unit(const float* top, const float* bottom, float lerp, size_t count, float* out);
// or the same with the colours changed in 0..1: brightness added, saturation multiplied, cut off at 0 and 1. `width`
// pixels.
void blend_colours(const float* top, const float* bottom, float lerp, float brightness, float saturation, size_t width,
                   float* out);

}  // namespace mox::data
