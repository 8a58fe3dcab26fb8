#include "base/limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include "moxing/error.h"

namespace mox {
namespace {

[[noreturn]] void reject(std::string_view name, const std::string& value, const std::string& expected,
                         std::string_view advice) {
  throw InvalidArgumentError(
      fmt::format("{} is {}, expected {}{}{}", name, value, expected, advice.empty() ? "" : "; ", advice));
}

}  // namespace

void check_integer(std::string_view name, int64_t value, int64_t low, int64_t high, std::string_view advice) {
  if (value < low || value > high)
    reject(name, fmt::format("{}", value), fmt::format("an integer from {} to {}", low, high), advice);
}

std::span<const NamedLimit> dataset_limits() {
  static constexpr NamedLimit kLimits[] = {
      {"batch_size", 0, kMaxBatchSize},        {"capacity", 1, kMaxAhead},
      {"max_broken_samples", 0, kMaxSamples},  {"num_epochs", 0, kMaxSamples},
      {"num_parallel", 1, kMaxThreads},        {"num_readers", 1, kMaxThreads},
      {"num_shards", 0, kMaxShards},           {"preprocess_threads", 1, kMaxThreads},
      {"private_num_threads", 0, kMaxThreads}, {"shard_index", 0, kMaxShards},
      {"shuffle_buffer_size", 0, kMaxAhead},
  };
  return kLimits;
}

void check_dataset_number(const char* name, int64_t value) {
  for (const NamedLimit& limit : dataset_limits())
    if (std::string_view(limit.name) == name) check_integer(name, value, limit.low, limit.high);
}

void check_number(std::string_view name, double value, double low, double high, std::string_view advice) {
  if (!(value >= low && value <= high))
    reject(name, fmt::format("{}", value), fmt::format("a number from {:g} to {:g}", low, high), advice);
}

void check_fits_memory(std::string_view what, double bytes, std::string_view advice) {
  const double memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (bytes <= memory) return;
  throw InvalidArgumentError(fmt::format("{} needs {:.3g} bytes, this machine has {:.3g}{}{}", what, bytes, memory,
                                         advice.empty() ? "" : "; ", advice));
}

}  // namespace mox
