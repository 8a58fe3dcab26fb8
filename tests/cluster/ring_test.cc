#include "cluster/ring.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <thread>

namespace mox::cluster {
namespace {

enum class Over { kConnections, kMemory };

// Rings of `size` ends in this process; each runs in a thread.
class Rings {
 public:
  explicit Rings(int size, Over over, double seconds = 20) : interrupts_(size) {
    std::vector<std::unique_ptr<Listener>> listeners;
    std::vector<Link> next, previous;
    for (int i = 0; i < size; ++i)
      listeners.push_back(std::make_unique<Listener>(Address{"127.0.0.1", 0}, "the test's"));
    for (int i = 0; i < size; ++i) {
      next.emplace_back(connect_to(listeners[(i + 1) % size]->address(), for_seconds(5)));
      previous.emplace_back(listeners[(i + 1) % size]->accept(for_seconds(5)));
      if (over == Over::kMemory) {
        next.back().offer_memory(for_seconds(5));
        previous.back().answer_offer(for_seconds(5));
        next.back().take_answer(for_seconds(5));
      }
      EXPECT_EQ(next.back().shares_memory(), over == Over::kMemory);
      EXPECT_EQ(previous.back().shares_memory(), over == Over::kMemory);
    }
    for (int i = 0; i < size; ++i)
      ends_.emplace_back(i, size, std::move(next[i]), std::move(previous[(i + size - 1) % size]), seconds,
                         &interrupts_[i]);
  }
  template <typename Function>
  void on_each(Function function) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < ends_.size(); ++i) threads.emplace_back([&, i] { function(ends_[i]); });
    for (std::thread& thread : threads) thread.join();
  }
  Ring& operator[](int i) { return ends_[i]; }
  Interrupt& interrupt(int i) { return interrupts_[i]; }

 private:
  std::vector<Interrupt> interrupts_;
  std::vector<Ring> ends_;
};

class RingTest : public testing::TestWithParam<Over> {};
INSTANTIATE_TEST_SUITE_P(Over, RingTest, testing::Values(Over::kConnections, Over::kMemory),
                         [](const auto& test) { return test.param == Over::kMemory ? "Memory" : "Connections"; });

float value_of(int rank, size_t i) { return static_cast<float>((i * 7 + rank * 13) % 101) - 50; }

TEST_P(RingTest, SumsOfAllSizesAreThoseOfTheWhole) {
  for (const int size : {2, 3, 5}) {
    Rings rings(size, GetParam());
    for (const size_t count : {size_t{1}, size_t{2}, size_t{3}, size_t{1000}, size_t{65'537}, size_t{1'000'003}}) {
      std::vector<std::vector<float>> data(size);
      rings.on_each([&](Ring& ring) {
        std::vector<float>& mine = data[ring.rank()];
        for (size_t i = 0; i < count; ++i) mine.push_back(value_of(ring.rank(), i));
        ring.all_reduce(mine.data(), count);
      });
      for (size_t i = 0; i < count; ++i) {
        float sum = 0;
        for (int rank = 0; rank < size; ++rank) sum += value_of(rank, i);
        ASSERT_EQ(data[0][i], sum) << size << " processes, element " << i << " of " << count;
      }
      for (int rank = 1; rank < size; ++rank) EXPECT_EQ(data[rank], data[0]) << size << " processes, " << count;
    }
  }
}

TEST_P(RingTest, AFactorIsAppliedToTheWholeSumOnce) {
  for (const int size : {2, 3, 5}) {
    Rings rings(size, GetParam());
    for (const size_t count : {size_t{1}, size_t{7}, size_t{200'003}}) {
      std::vector<std::vector<float>> data(size);
      std::vector<std::vector<Bfloat16>> halves(size);
      rings.on_each([&](Ring& ring) {
        for (size_t i = 0; i < count; ++i) {
          data[ring.rank()].push_back(value_of(ring.rank(), i));
          halves[ring.rank()].push_back(to_bfloat16(static_cast<float>(ring.rank() + i % 3)));
        }
        ring.all_reduce(data[ring.rank()].data(), count, 0.25f);
        ring.all_reduce(halves[ring.rank()].data(), count, 0.25f);
      });
      for (size_t i = 0; i < count; ++i) {
        float sum = 0, of_halves = 0;
        for (int rank = 0; rank < size; ++rank) {
          sum += value_of(rank, i);
          of_halves += static_cast<float>(rank + i % 3);
        }
        for (int rank = 0; rank < size; ++rank) {
          ASSERT_EQ(data[rank][i], sum * 0.25f) << size << " processes, element " << i << " of " << count;
          ASSERT_EQ(to_float(halves[rank][i]), of_halves * 0.25f) << size << " processes, element " << i;
        }
      }
    }
  }
}

TEST_P(RingTest, EveryProcessHasTheSameBits) {
  Rings rings(4, GetParam());
  std::vector<std::vector<float>> data(4);
  rings.on_each([&](Ring& ring) {
    std::vector<float>& mine = data[ring.rank()];
    for (int i = 0; i < 100'000; ++i) mine.push_back(std::sin(i * 0.1f + ring.rank()) * 1e-3f);
    ring.all_reduce(mine.data(), mine.size());
  });
  for (int rank = 1; rank < 4; ++rank) EXPECT_EQ(data[rank], data[0]);
}

TEST_P(RingTest, Bfloat16IsSummedInFloat32AndRoundedAtEachHop) {
  EXPECT_EQ(to_float(to_bfloat16(1.0f)), 1.0f);
  EXPECT_EQ(to_float(to_bfloat16(1.00390625f)), 1.0f);       // half of the last digit, to even
  EXPECT_EQ(to_float(to_bfloat16(1.01171875f)), 1.015625f);  // to even, upwards
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::nanf("")))));
  EXPECT_EQ(to_float(to_bfloat16(std::numeric_limits<float>::infinity())), std::numeric_limits<float>::infinity());
  Rings rings(3, GetParam());
  std::vector<std::vector<Bfloat16>> data(3, std::vector<Bfloat16>(1001));
  rings.on_each([&](Ring& ring) {
    for (Bfloat16& value : data[ring.rank()]) value = to_bfloat16(0.5f + ring.rank());
    ring.all_reduce(data[ring.rank()].data(), 1001);
  });
  for (const auto& mine : data)
    for (const Bfloat16 value : mine) ASSERT_EQ(to_float(value), 4.5f);
}

TEST_P(RingTest, BroadcastReplacesWhatTheOthersHave) {
  Rings rings(4, GetParam());
  for (const int from : {0, 2, 3}) {
    std::vector<std::string> data(4);
    rings.on_each([&](Ring& ring) {
      std::string& mine = data[ring.rank()];
      mine.assign(3'000'001, static_cast<char>('a' + ring.rank()));
      ring.broadcast(mine.data(), mine.size(), from);
    });
    for (const std::string& mine : data) EXPECT_EQ(mine, std::string(3'000'001, static_cast<char>('a' + from)));
  }
}

TEST_P(RingTest, APeerThatGoesIsAnErrorThatNamesIt) {
  Rings rings(3, GetParam());
  std::vector<std::string> errors(3);
  rings.on_each([&](Ring& ring) {
    if (ring.rank() == 1) return ring.close();
    std::vector<float> data(1'000'000, 1);
    try {
      for (int i = 0; i < 100; ++i) ring.all_reduce(data.data(), data.size());
    } catch (const ConnectionError& e) {
      errors[ring.rank()] = e.what();
    }
    ring.close();
  });
  EXPECT_NE(errors[0].find("127.0.0.1:"), std::string::npos) << errors[0];
  EXPECT_NE(errors[2].find("127.0.0.1:"), std::string::npos) << errors[2];
}

TEST_P(RingTest, ASilentPeerIsAnErrorAfterItsTime) {
  Rings rings(2, GetParam(), 0.3);
  std::vector<float> data(10, 1);
  try {
    rings[0].all_reduce(data.data(), data.size());
    FAIL();
  } catch (const ConnectionError& e) {
    EXPECT_NE(std::string(e.what()).find("no byte from 127.0.0.1:"), std::string::npos) << e.what();
  }
}

TEST_P(RingTest, AnotherThreadBreaksItOff) {
  Rings rings(2, GetParam());
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    rings.interrupt(0).set();
  });
  std::vector<float> data(10, 1);
  EXPECT_THROW(rings[0].all_reduce(data.data(), data.size()), Interrupted);
  other.join();
}

TEST(RingOfOneProcess, DoesNothing) {
  Ring ring;
  float value = 3;
  ring.all_reduce(&value, 1);
  ring.broadcast(&value, sizeof value, 0);
  EXPECT_EQ(value, 3);
}

}  // namespace
}  // namespace mox::cluster
