// Numbers that come from outside (arguments, flags, MOX_*, files) are checked before they size an allocation or a loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "moxing/export.h"

namespace mox {

// Far above what anybody trains with, far below what overflows or fills a machine by a slip of the hand.
constexpr int64_t kMaxBatchSize = 1 << 20;
constexpr int64_t kMaxImageSide = 16384;
constexpr int64_t kMaxClasses = 10'000'000;
constexpr int64_t kMaxThreads = 4096;
constexpr int64_t kMaxDevices = 1024;
constexpr int64_t kMaxShards = 100'000;          // files of one data set
constexpr int64_t kMaxSteps = INT64_MAX;         // scripts say sys.maxsize for "until the input ends"
constexpr int64_t kMaxCount = int64_t{1} << 53;  // a JSON number keeps it
constexpr int64_t kMaxSamples = int64_t{1} << 40;
constexpr int64_t kMaxAhead = 100'000'000;  // samples that are held in memory: capacity, shuffle buffers
constexpr double kMaxSeconds = 1e9;         // 30 years

// InvalidArgumentError: "batch_size is -3, expected an integer from 1 to 1048576". `advice` follows after "; ".
MOX_EXPORT void check_integer(std::string_view name, int64_t value, int64_t low, int64_t high,
                              std::string_view advice = "");
// The same for numbers; nan never fits.
MOX_EXPORT void check_number(std::string_view name, double value, double low, double high,
                             std::string_view advice = "");

// InvalidArgumentError when something needs more bytes than this machine has memory: "a batch of 8 images of 9x9
// needs 1.5e+12 bytes, this machine has 6.7e+10". A double: products of numbers from outside may not fit an integer.
MOX_EXPORT void check_fits_memory(std::string_view what, double bytes, std::string_view advice = "");

}  // namespace mox
