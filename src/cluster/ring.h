// All-reduce: each process has a link to the next and one from the previous.
//
// Algorithm: ring reduce-scatter and all-gather (Patarasuk and Yuan, 2009; Baidu's ring), cut through: what arrives is
// added while it is in the cache, and goes on before the rest of its section is there. Each process sends and receives
// 2 (size - 1) / size of the data, whatever the size. All processes end with the same bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/link.h"

namespace mox::cluster {

// The upper half of a float32, as TensorFlow's bfloat16.
struct Bfloat16 {
  uint16_t bits = 0;
};
// Rounds to the nearest, ties to even; keeps nan. Without a branch, for vector instructions.
inline Bfloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
  return {static_cast<uint16_t>((value != value ? quiet : rounded) >> 16)};
}
inline float to_float(Bfloat16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// Not for several threads at once. After an error its connections are in the middle of something: it is of no use.
class MOX_EXPORT Ring {
 public:
  // Of one process: does nothing.
  Ring() = default;
  // `seconds`: without a byte from a neighbour, or taken by one, for so long an operation fails. 0: there is no limit.
  // `interrupt` breaks operations off; it must outlive the ring.
  Ring(int rank, int size, Link next, Link previous, double seconds, const Interrupt* interrupt);

  int rank() const { return rank_; }
  int size() const { return size_; }

  // `data` becomes the sum over all processes, times `factor`. Each must call with the same `count` and `factor`.
  // ConnectionError that names the neighbour, or Interrupted.
  void all_reduce(float* data, size_t count, float factor = 1);
  // The sum is taken in float32 and rounded to bfloat16 at each hop, at the last one times `factor`.
  void all_reduce(Bfloat16* data, size_t count, float factor = 1);
  // `data` of the process `from` replaces that of the others.
  void broadcast(void* data, size_t bytes, int from);
  // The same of a text whose size the others need not know.
  void broadcast(std::string* text, int from);
  // One way between neighbours, as fast as the connection takes it: what the wire gives, to compare with.
  void send_next(const void* data, size_t bytes);
  void receive_previous(void* data, size_t bytes);
  // Whether what the previous one sends comes through memory that both share, see link.h.
  bool shares_memory() const { return previous_.shares_memory(); }

  // Closes the connections: the neighbours' operations fail.
  void close();

 private:
  template <typename T>
  void reduce(T* data, size_t count, float factor);
  void wait_for_neighbours(bool to_receive, bool to_send);

  int rank_ = 0, size_ = 1;
  Link next_, previous_;
  double seconds_ = 0;
  const Interrupt* interrupt_ = nullptr;
  std::vector<char> piece_;  // what has arrived and is not added yet
};

}  // namespace mox::cluster
