#include "cluster/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace mox::cluster {
namespace {

constexpr size_t kPiece = 256 << 10;  // bytes that are received at once: they stay in the second-level cache
constexpr double kNoLimit = 3.2e7;    // seconds: a year

void add(float* sum, const float* summand, size_t count, float factor) {
  for (size_t i = 0; i < count; ++i) sum[i] = (sum[i] + summand[i]) * factor;
}

void add(Bfloat16* sum, const Bfloat16* summand, size_t count, float factor) {
  for (size_t i = 0; i < count; ++i) sum[i] = to_bfloat16((to_float(sum[i]) + to_float(summand[i])) * factor);
}

// The data is cut into one section a process. In step k of 2 (size - 1) a process sends the section that it received
// in step k - 1 (at first its own), first sums in the making, then sums that are whole.
template <typename T>
class Sections {
 public:
  Sections(int rank, int size, T* data, size_t count) : rank_(rank), size_(size), data_(data), count_(count) {}

  int steps() const { return 2 * (size_ - 1); }
  bool adds(int step) const { return step < size_ - 1; }
  bool makes_whole(int step) const { return step == size_ - 2; }  // what is received there has been everywhere else
  int sent(int step) const { return adds(step) ? wrap(rank_ - step) : wrap(rank_ + 1 - (step - (size_ - 1))); }
  int received(int step) const { return adds(step) ? wrap(rank_ - step - 1) : wrap(rank_ - (step - (size_ - 1))); }
  size_t bytes(int section) const { return sizeof(T) * (begin(section + 1) - begin(section)); }
  char* at(int section) const { return reinterpret_cast<char*>(data_ + begin(section)); }

 private:
  int wrap(int i) const { return (i % size_ + size_) % size_; }
  size_t begin(int section) const { return std::min(count_, (count_ + size_ - 1) / size_ * section); }

  const int rank_, size_;
  T* const data_;
  const size_t count_;
};

}  // namespace

Ring::Ring(int rank, int size, Link next, Link previous, double seconds, const Interrupt* interrupt)
    : rank_(rank),
      size_(size),
      next_(std::move(next)),
      previous_(std::move(previous)),
      seconds_(seconds > 0 ? seconds : kNoLimit),
      interrupt_(interrupt),
      piece_(kPiece) {}

void Ring::close() {
  next_.close();
  previous_.close();
}

void Ring::wait_for_neighbours(bool to_receive, bool to_send) {
  std::vector<Ready> ready;
  if (to_receive) {
    const std::optional<Ready> bytes = previous_.wait_to_receive();
    if (!bytes) return;
    ready.push_back(*bytes);
  }
  if (to_send) {
    const std::optional<Ready> space = next_.wait_to_send();
    if (!space) return;
    ready.push_back(*space);
  }
  if (wait_for(&ready, for_seconds(seconds_, interrupt_))) return;
  throw ConnectionError(fmt::format(
      "no byte {} for {:g} s", to_receive ? "from " + previous_.peer() : "was taken by " + next_.peer(), seconds_));
}

template <typename T>
void Ring::reduce(T* data, size_t count, float factor) {
  if (size_ == 1 || count == 0) return;
  const Sections<T> sections(rank_, size_, data, count);
  int sending = 0, receiving = 0;  // steps
  size_t sent = 0, received = 0;   // bytes of these steps' sections
  size_t held = 0;                 // bytes at the start of piece_ that are no whole element
  const int steps = sections.steps();
  while (sending < steps || receiving < steps) {
    bool moved = false;
    // What is sent in a step was received in the one before: no further than that.
    size_t may_send = 0;
    if (sending < steps) {
      const size_t whole = sections.bytes(sections.sent(sending));
      const size_t there = sending == 0 || receiving >= sending ? whole : receiving == sending - 1 ? received : 0;
      may_send = there > sent ? there - sent : 0;
      if (may_send > 0) {
        const size_t n =
            next_.send_some(sections.at(sections.sent(sending)) + sent, std::min(may_send, size_t{1} << 20));
        sent += n;
        may_send -= n;
        moved = n > 0;
      }
      if (sent == whole) ++sending, sent = 0, moved = true;
    }
    if (receiving < steps) {
      const int section = sections.received(receiving);
      const size_t whole = sections.bytes(section), left = whole - received - held;
      char* to = sections.at(section) + received;
      if (left > 0 && sections.adds(receiving)) {
        const size_t n = previous_.receive_some(piece_.data() + held, std::min(left, piece_.size() - held));
        const size_t elements = (held + n) / sizeof(T);
        add(reinterpret_cast<T*>(to), reinterpret_cast<const T*>(piece_.data()), elements,
            sections.makes_whole(receiving) ? factor : 1);
        held = held + n - elements * sizeof(T);
        std::memmove(piece_.data(), piece_.data() + elements * sizeof(T), held);
        received += elements * sizeof(T);
        moved |= n > 0;
      } else if (left > 0) {
        const size_t n = previous_.receive_some(to, left);
        received += n;
        moved |= n > 0;
      }
      if (received == whole) ++receiving, received = 0, moved = true;
    }
    if (!moved) wait_for_neighbours(receiving<steps, may_send> 0);
  }
}

void Ring::all_reduce(float* data, size_t count, float factor) { reduce(data, count, factor); }
void Ring::all_reduce(Bfloat16* data, size_t count, float factor) { reduce(data, count, factor); }

void Ring::broadcast(void* data, size_t bytes, int from) {
  if (size_ == 1) return;
  const bool sends = (rank_ + 1) % size_ != from, receives = rank_ != from;
  char* at = static_cast<char*>(data);
  size_t received = receives ? 0 : bytes, sent = sends ? 0 : bytes;
  while (received < bytes || sent < bytes) {
    size_t n = 0;
    if (sent < received) sent += n = next_.send_some(at + sent, received - sent);
    if (received < bytes) {
      const size_t more = previous_.receive_some(at + received, bytes - received);
      received += more;
      n += more;
    }
    if (n == 0) wait_for_neighbours(received < bytes, sent < received);
  }
}

void Ring::broadcast(std::string* text, int from) {
  uint64_t size = text->size();
  broadcast(&size, sizeof size, from);
  text->resize(size);
  broadcast(text->data(), size, from);
}

void Ring::send_next(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  for (size_t sent = 0; sent < bytes;) {
    const size_t n = next_.send_some(at + sent, bytes - sent);
    sent += n;
    if (n == 0) wait_for_neighbours(false, true);
  }
}

void Ring::receive_previous(void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  for (size_t received = 0; received < bytes;) {
    const size_t n = previous_.receive_some(at + received, bytes - received);
    received += n;
    if (n == 0) wait_for_neighbours(true, false);
  }
}

}  // namespace mox::cluster
