#include "exchange_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "base/limits.h"
#include "base/mutex.h"
#include "base/process_usage.h"

namespace mox::cli {
namespace {

using cluster::Clock;
using cluster::Exchanger;
using cluster::Member;

constexpr int kWireRounds = 5, kMemcpyRounds = 5, kLatencyRounds = 20;

double ms_since(Clock::time_point when) {
  return std::chrono::duration<double, std::milli>(Clock::now() - when).count();
}

float median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return static_cast<float>((values[(n - 1) / 2] + values[n / 2]) / 2);
}

// The ends of a round's buckets.
class Ends {
 public:
  explicit Ends(int left) : left_(left) {}
  Exchanger::Done done() {
    return [this](const std::exception_ptr& error) {
      const MutexLock lock(mutex_);
      if (error && !error_) error_ = error;
      --left_;
      changed_.notify_all();
    };
  }
  // All of them, also after an error: nobody writes to the buckets any more. Throws the first error.
  void wait() {
    MutexLock lock(mutex_);
    changed_.wait(lock, [this]() MOX_REQUIRES(mutex_) { return left_ == 0; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int left_ MOX_GUARDED_BY(mutex_);
  std::exception_ptr error_ MOX_GUARDED_BY(mutex_);
};

// The gradients of a process, in the buckets of a training: those that were made last come first.
class Gradients {
 public:
  Gradients(const std::vector<int64_t>& sizes, double bucket_mib) {
    int64_t total = 0;
    for (const int64_t size : sizes) total += size;
    data_.assign(static_cast<size_t>(total), 1.0f);
    float* end = data_.data() + total;
    double bytes = 0;
    for (size_t i = sizes.size(); i-- > 0;) {
      if (bytes == 0) buckets_.emplace_back();
      end -= sizes[i];
      buckets_.back().push_back({end, end, static_cast<size_t>(sizes[i])});
      bytes += static_cast<double>(sizes[i]) * sizeof(float);
      if (bytes >= bucket_mib * (1 << 20)) bytes = 0;
    }
  }

  const std::vector<std::vector<Exchanger::Part>>& buckets() const { return buckets_; }
  float* data() { return data_.data(); }
  size_t bytes() const { return data_.size() * sizeof(float); }
  // All processes have ones, so the means are ones, in bfloat16 too.
  bool are_means() const {
    return std::all_of(data_.begin(), data_.end(), [](float value) { return value == 1.0f; });
  }

 private:
  std::vector<float> data_;
  std::vector<std::vector<Exchanger::Part>> buckets_;
};

double exchange_round(Exchanger* exchanger, const Gradients& gradients, double backward_ms) {
  const auto& buckets = gradients.buckets();
  const auto begin = Clock::now();
  Ends ends(static_cast<int>(buckets.size()));
  for (size_t i = 0; i < buckets.size(); ++i) {
    const double ready = backward_ms * static_cast<double>(i + 1) / static_cast<double>(buckets.size());
    if (backward_ms > 0) std::this_thread::sleep_until(begin + std::chrono::duration<double, std::milli>(ready));
    exchanger->post(static_cast<int>(i), buckets[i], ends.done());
  }
  ends.wait();
  return ms_since(begin);
}

void measure_rounds(Member* member, Gradients* gradients, const ExchangeBenchOptions& options, ExchangeFigures* out) {
  Exchanger exchanger(member,
                      {.first = {}, .buckets = static_cast<int>(gradients->buckets().size()), .wire = options.wire});
  for (int64_t i = 0; i < options.warmup; ++i) exchange_round(&exchanger, *gradients, options.backward_ms);
  std::vector<double> wall;
  const double cpu = cpu_seconds();
  for (int64_t i = 0; i < options.rounds; ++i)
    wall.push_back(exchange_round(&exchanger, *gradients, options.backward_ms));
  out->cpu_ms = static_cast<float>(1e3 * (cpu_seconds() - cpu) / static_cast<double>(options.rounds));
  out->wall_ms = median(wall);
  out->least_ms = static_cast<float>(*std::min_element(wall.begin(), wall.end()));
  out->most_ms = static_cast<float>(*std::max_element(wall.begin(), wall.end()));
  if (!gradients->are_means()) throw RunError("the exchange gave wrong means; please report it");
}

// What waits for all; the sum of one number.
void barrier(cluster::Ring* ring) {
  float one = 1;
  ring->all_reduce(&one, 1);
}

float measure_latency(cluster::Ring* ring) {
  std::vector<double> times;
  for (int i = 0; i < kLatencyRounds; ++i) {
    const auto begin = Clock::now();
    barrier(ring);
    times.push_back(ms_since(begin) * 1e3);
  }
  return median(times);
}

float measure_memcpy(cluster::Ring* ring, Gradients* gradients) {
  std::vector<float> copy(gradients->bytes() / sizeof(float));
  std::vector<double> times;
  for (int i = 0; i < kMemcpyRounds; ++i) {
    barrier(ring);
    const auto begin = Clock::now();
    std::memcpy(copy.data(), gradients->data(), gradients->bytes());
    times.push_back(ms_since(begin));
    if (copy[copy.size() / 2] != 1) throw RunError("memory does not keep what is written to it");
  }
  return median(times);
}

// From each process to the next, no process on two connections at once: first from those of even rank, then from those
// of odd rank, then from the last one where that is of even rank, too.
float measure_wire(cluster::Ring* ring, Gradients* gradients) {
  const int rank = ring->rank(), size = ring->size(), previous = (rank + size - 1) % size;
  const auto turn_of = [size](int sender) { return size % 2 == 1 && sender == size - 1 ? 2 : sender % 2; };
  std::vector<double> times;
  for (int i = 0; i < kWireRounds; ++i) {
    for (int turn = 0; turn < 3; ++turn) {
      barrier(ring);
      const auto begin = Clock::now();
      if (turn_of(rank) == turn) ring->send_next(gradients->data(), gradients->bytes());
      if (turn_of(previous) != turn) continue;
      ring->receive_previous(gradients->data(), gradients->bytes());
      times.push_back(ms_since(begin));
    }
  }
  return median(times);
}

// Everybody's figures for everybody: a sum in which each has only its own row.
std::vector<ExchangeFigures> gather(cluster::Ring* ring, const ExchangeFigures& mine) {
  std::vector<ExchangeFigures> all(static_cast<size_t>(ring->size()));
  all[static_cast<size_t>(ring->rank())] = mine;
  static_assert(sizeof(ExchangeFigures) % sizeof(float) == 0);
  std::vector<float> flat(all.size() * sizeof(ExchangeFigures) / sizeof(float));
  std::memcpy(flat.data(), all.data(), flat.size() * sizeof(float));
  ring->all_reduce(flat.data(), flat.size());
  std::memcpy(all.data(), flat.data(), flat.size() * sizeof(float));
  return all;
}

}  // namespace

std::vector<int64_t> gradient_sizes(double megabytes) {
  std::vector<int64_t> sizes;
  const auto convolution = [&](int64_t side, int64_t from, int64_t to) {
    sizes.insert(sizes.end(), {side * side * from * to, to, to});  // weights, gamma, beta
  };
  convolution(7, 3, 64);
  int64_t from = 64;
  for (const auto& [width, units] : {std::pair<int64_t, int>{64, 3}, {128, 4}, {256, 6}, {512, 3}}) {
    for (int unit = 0; unit < units; ++unit) {
      if (unit == 0) convolution(1, from, 4 * width);
      convolution(1, from, width);
      convolution(3, width, width);
      convolution(1, width, 4 * width);
      from = 4 * width;
    }
  }
  sizes.insert(sizes.end(), {from * 1000, 1000});
  if (megabytes == 0) return sizes;
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += size;
  const double factor = megabytes * 1e6 / sizeof(float) / static_cast<double>(sum);
  for (int64_t& size : sizes) size = std::max<int64_t>(1, std::llround(static_cast<double>(size) * factor));
  return sizes;
}

ExchangeReport measure_exchange(const cluster::MemberOptions& member_options, const ExchangeBenchOptions& options) {
  const std::vector<int64_t> sizes = gradient_sizes(options.megabytes);
  int64_t elements = 0;
  for (const int64_t size : sizes) elements += size;
  check_fits_memory(fmt::format("{} MB of gradients and a copy of them", options.megabytes),
                    2.0 * sizeof(float) * static_cast<double>(elements), "lower --megabytes");
  Gradients gradients(sizes, options.bucket_mib);
  Member member(member_options);
  ExchangeReport report;
  for (const cluster::Group::Seat& seat : member.form(-1).seats) report.names.push_back(seat.name);
  report.rank = member.group().rank;
  report.bytes = static_cast<int64_t>(gradients.bytes());
  report.tensors = static_cast<int64_t>(sizes.size());
  report.buckets = static_cast<int64_t>(gradients.buckets().size());
  ExchangeFigures mine = {};
  measure_rounds(&member, &gradients, options, &mine);
  try {
    cluster::Ring& ring = member.ring();
    mine.latency_us = measure_latency(&ring);
    mine.memcpy_ms = measure_memcpy(&ring, &gradients);
    mine.wire_ms = measure_wire(&ring, &gradients);
    mine.shares_memory = ring.shares_memory() ? 1 : 0;
    report.figures = gather(&ring, mine);
  } catch (const cluster::ConnectionError& e) {
    member.explain(e);  // who was lost
  } catch (const cluster::Interrupted& e) {
    member.explain(e);
  }
  member.leave("");
  return report;
}

}  // namespace mox::cli
