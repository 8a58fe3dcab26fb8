// Nearest neighbour as TF 1's resize_images: pixel i comes from floor(i * input / output).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace mox::data {

// Where each of `output` pixels comes from, in steps of `step`.
inline void nearest(int64_t input, int64_t output, int64_t step, std::vector<int64_t>* from) {
  from->resize(static_cast<size_t>(output));
  const float scale = static_cast<float>(input) / static_cast<float>(output);
  for (int64_t i = 0; i < output; ++i)
    (*from)[static_cast<size_t>(i)] = std::min(static_cast<int64_t>(static_cast<float>(i) * scale), input - 1) * step;
}

// A row of three-byte pixels; `columns` are bytes. Each pixel is moved as four bytes, of which the next one covers the
// last: a third of the stores. `from` may be read one byte past its last pixel, `to` is never written past its own.
inline void copy_rgb_row(const uint8_t* from, const std::vector<int64_t>& columns, uint8_t* to) {
  const int64_t* column = columns.data();
  const int64_t* const last = column + columns.size() - 1;
  for (; column < last; ++column, to += 3) std::memcpy(to, from + *column, 4);
  std::memcpy(to, from + *last, 3);
}

}  // namespace mox::data
