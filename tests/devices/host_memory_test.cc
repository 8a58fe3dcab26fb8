// Where tensors lie: the pieces of a region, and TensorFlow's use of it.
#include "devices/host_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "devices/region_pieces.h"
#include "tensorflow/core/framework/allocator.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {
namespace {

constexpr size_t kUnit = RegionPieces::kAlignment;

// Addresses are only compared: nothing is there.
char* const kBegin = reinterpret_cast<char*>(kUnit * 1000);

TEST(RegionPieces, TakesTheSmallestThatFitsAndJoinsNeighbours) {
  RegionPieces pieces(kBegin, 10 * kUnit);
  char* const first = pieces.take(3 * kUnit - 1);
  char* const second = pieces.take(1);
  char* const third = pieces.take(2 * kUnit);
  char* const fourth = pieces.take(kUnit);
  EXPECT_EQ(first, kBegin);
  EXPECT_EQ(second, kBegin + 3 * kUnit);
  EXPECT_EQ(third, kBegin + 4 * kUnit);
  EXPECT_EQ(fourth, kBegin + 6 * kUnit);
  pieces.give_back(first);
  pieces.give_back(third);
  EXPECT_EQ(pieces.take(2 * kUnit), third);  // not the first 2 of 3
  pieces.give_back(third);
  pieces.give_back(second);  // joins both sides
  EXPECT_EQ(pieces.take(6 * kUnit), kBegin);
  EXPECT_EQ(pieces.take(4 * kUnit), nullptr);
  EXPECT_EQ(pieces.take(3 * kUnit), kBegin + 7 * kUnit);
  EXPECT_EQ(pieces.take(1), nullptr);
}

TEST(RegionPieces, WalksOverWhatIsFree) {
  RegionPieces pieces(kBegin, 10 * kUnit);
  pieces.take(2 * kUnit);
  char* const gap = pieces.take(3 * kUnit);
  pieces.take(kUnit);
  pieces.give_back(gap);
  std::vector<std::pair<char*, size_t>> walked;
  for (char* from = nullptr;;) {
    const auto [piece, bytes] = pieces.take_behind(from, 2 * kUnit);
    if (!piece) break;
    EXPECT_TRUE(walked.empty() || piece >= walked.back().first + walked.back().second);
    walked.emplace_back(piece, bytes);
    from = piece + bytes;
    pieces.give_back(piece);  // joins what was walked over and what comes
  }
  const std::vector<std::pair<char*, size_t>> expected = {{kBegin + 2 * kUnit, 2 * kUnit},
                                                          {kBegin + 4 * kUnit, kUnit},
                                                          {kBegin + 6 * kUnit, 2 * kUnit},
                                                          {kBegin + 8 * kUnit, 2 * kUnit}};
  EXPECT_EQ(walked, expected);
  EXPECT_EQ(pieces.take(4 * kUnit), kBegin + 6 * kUnit);  // all is free again
  EXPECT_EQ(pieces.take(3 * kUnit), gap);
  EXPECT_EQ(pieces.take_behind(kBegin, 10 * kUnit).first, nullptr);
}

TEST(RegionPieces, HasWhatIsInItAlone) {
  RegionPieces pieces(kBegin, 2 * kUnit);
  EXPECT_TRUE(pieces.has(kBegin));
  EXPECT_TRUE(pieces.has(kBegin + 2 * kUnit - 1));
  EXPECT_FALSE(pieces.has(kBegin + 2 * kUnit));
  EXPECT_FALSE(pieces.has(kBegin - 1));
  EXPECT_EQ(pieces.take(2 * kUnit + 1), nullptr);
  EXPECT_EQ(pieces.take(~size_t{0}), nullptr);
}

TEST(RegionPieces, NoTwoOverlapAndAllComesBack) {
  constexpr size_t kBytes = 4000 * kUnit;
  RegionPieces pieces(kBegin, kBytes);
  std::map<char*, size_t> taken;
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    if (taken.empty() || random() % 2) {
      const size_t bytes = 1 + random() % (40 * kUnit);
      char* const piece = pieces.take(bytes);
      if (!piece) continue;
      const auto after = taken.lower_bound(piece);
      ASSERT_TRUE(after == taken.end() || piece + bytes <= after->first);
      ASSERT_TRUE(after == taken.begin() || std::prev(after)->first + std::prev(after)->second <= piece);
      ASSERT_TRUE(piece >= kBegin && piece + bytes <= kBegin + kBytes);
      taken.emplace(piece, bytes);
    } else {
      const auto one = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
      pieces.give_back(one->first);
      taken.erase(one);
    }
  }
  for (const auto& [piece, bytes] : taken) pieces.give_back(piece);
  EXPECT_EQ(pieces.take(kBytes), kBegin);
}

// Pages of the range that are in memory.
size_t pages_in_memory(const char* place, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(place) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(place) + bytes) / page * page;
  std::vector<unsigned char> states((end - begin) / page);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(begin), end - begin, states.data()), 0);
  return static_cast<size_t>(std::count_if(states.begin(), states.end(), [](unsigned char s) { return s & 1; }));
}

TEST(HostMemory, WhatIsFreeIsGivenBackAndWhatIsUsedStays) {
  const auto filled = [](float value) {
    tensorflow::Tensor tensor(tensorflow::DT_FLOAT, {3 << 20});
    tensor.flat<float>().setConstant(value);
    return tensor;
  };
  const tensorflow::Tensor kept = filled(1);
  const char* left;
  {
    const tensorflow::Tensor freed = filled(2);
    left = static_cast<const char*>(freed.data());
    EXPECT_GT(pages_in_memory(left, freed.TotalBytes()), 3000u);
  }
  release_free_host_memory();
  EXPECT_LE(pages_in_memory(left, size_t{12} << 20), 1u);
  for (int64_t i = 0; i < kept.NumElements(); ++i) ASSERT_EQ(kept.flat<float>()(i), 1);
  const tensorflow::Tensor again = filled(3);
  for (int64_t i = 0; i < again.NumElements(); ++i) ASSERT_EQ(again.flat<float>()(i), 3);
}

TEST(HostMemory, TensorsThatAreLargeLieInTheRegion) {
  ASSERT_EQ(tensorflow::cpu_allocator()->Name(), "moxing");
  const auto address = [](const tensorflow::Tensor& tensor) { return static_cast<const char*>(tensor.data()); };
  const char* left;
  {
    tensorflow::Tensor large(tensorflow::DT_FLOAT, {1 << 20}), small(tensorflow::DT_FLOAT, {8});
    large.flat<float>().setConstant(1);
    small.flat<float>().setConstant(2);
    left = address(large);
    EXPECT_EQ(reinterpret_cast<size_t>(left) % kUnit, 0u);
  }
  // The place is used again, also by another size.
  const tensorflow::Tensor next(tensorflow::DT_FLOAT, {1 << 19});
  EXPECT_EQ(address(next), left);
}

}  // namespace
}  // namespace mox
