// The rate of fused multiplications and additions of float32 that all cores reach together with nothing else to do: the
// limit of every convolution that multiplies what its definition says. A line of JSON; compiled for this processor.
//   peak [SECONDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
constexpr int kChains = 12;  // each waits for itself: more of them than an addition takes cycles, on two units
constexpr int64_t kTurns = 1 << 20;

double seconds_of_turns(float* result) {
  Vector sums[kChains];
  for (int i = 0; i < kChains; ++i)
    sums[i] = Vector{} + *result + static_cast<float>(i);  // the compiler joins what is alike
  const Vector factor = Vector{} + 0.999f, term = Vector{} + 1e-3f;
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * factor + term;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  for (const Vector& sum : sums) *result += sum[0];
  return taken.count();
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<double> rates(threads);
  std::vector<float> results(threads);
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < threads; ++i)
    workers.emplace_back([&, i] {
      std::vector<double> taken;
      for (double sum = 0; sum < seconds; sum += taken.back()) taken.push_back(seconds_of_turns(&results[i]));
      std::nth_element(taken.begin(), taken.begin() + taken.size() / 2, taken.end());
      rates[i] = 2e-9 * kLanes * kChains * kTurns / taken[taken.size() / 2];
    });
  for (std::thread& worker : workers) worker.join();
  double rate = 0, result = 0;
  for (unsigned i = 0; i < threads; ++i) rate += rates[i], result += results[i];
  std::printf("{\"gflops\": %.1f, \"sum\": %g}\n", rate, result);
}
