// Where tensors lie: the pieces of a region, and TensorFlow's use of it.
#include <gtest/gtest.h>

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
