// Whom a convolution tells of its rows (convolutions/rows.h), and what he may expect.
#pragma once

#include <atomic>

#include "convolutions/pointwise_reference.h"

namespace mox::convolutions::testing {

// Takes what it is told of the rows of `result`: once each, within their part, in order, by one thread at a time, and
// as they are in the end.
template <typename T>
class Listener {
 public:
  Listener(const RowParts& parts, const Guarded<T>& result)
      : parts_(parts),
        columns_(result.size() / parts.rows),
        result_(result),
        seen_(result.size()),
        parts_at_(parts_.parts) {
    for (int64_t part = 0; part < parts_.parts; ++part) parts_at_[part].next = parts_.begin(part);
  }

  void operator()(int64_t part, int64_t begin, int64_t end) {
    if (part < 0 || part >= parts_.parts) return ++wrong_parts_, void();
    Part& at = parts_at_[part];
    if (at.busy.exchange(true)) ++at_once_;
    if (begin != at.next || end <= begin || end > parts_.begin(part + 1)) {
      ++out_of_order_;
    } else {
      std::memcpy(seen_.data() + begin * columns_, result_.data() + begin * columns_,
                  (end - begin) * columns_ * sizeof(T));
      at.next = end;
      at.ends.push_back(end);
    }
    ++calls_;
    at.busy = false;
  }

  void expect_all(const std::string& name) const {
    EXPECT_EQ(wrong_parts_, 0) << name;
    EXPECT_EQ(at_once_, 0) << name << ": a part by several threads at once";
    EXPECT_EQ(out_of_order_, 0) << name;
    for (int64_t part = 0; part < parts_.parts; ++part)
      EXPECT_EQ(parts_at_[part].next, parts_.begin(part + 1)) << name << ", part " << part;
    EXPECT_TRUE(seen_.same_bits(result_)) << name << ": rows changed after they were told of";
    EXPECT_GE(calls_, parts_.parts) << name;
  }

  // Where what it was told of at once ended.
  std::vector<int64_t> ends() const {
    std::vector<int64_t> all;
    for (const Part& part : parts_at_) all.insert(all.end(), part.ends.begin(), part.ends.end());
    return all;
  }

 private:
  struct Part {
    std::atomic<bool> busy{false};
    int64_t next = 0;
    std::vector<int64_t> ends;
  };
  const RowParts parts_;
  const int64_t columns_;
  const Guarded<T>& result_;
  Guarded<T> seen_;
  std::vector<Part> parts_at_;
  std::atomic<int64_t> wrong_parts_{0}, at_once_{0}, out_of_order_{0}, calls_{0};
};

// With rows told of and without, and with what is fetched ahead, the bits are the same. Rows are told of in the same
// pieces whatever the threads: sums over them are grouped so.
template <typename T>
void expect_told(const Data<T>& data, Direction direction, Algorithm algorithm, const LoopsOf& of) {
  const Epilogue epilogue{data.bias.data(), -0.5f, 6};
  const Guarded<T> without = compute_pointwise(direction, data, *of.loops, {2, epilogue, {}, algorithm});
  const RowParts parts = direction == Direction::kForward ? parts_of_output(data.c) : parts_of_input(data.c);
  Guarded<T> beside(without.size()), other(without.size());
  std::vector<int64_t> ends;
  for (const int64_t threads : {1, 2, 3, 7})
    for (const int reads : {0, 1, 3}) {
      Guarded<T> to(without.size());
      Listener<T> listener(parts, to);
      RowsDone done{[&](int64_t part, int64_t begin, int64_t end, const void*) { listener(part, begin, end); }};
      if (reads > 0) done.reads[1] = beside.data();
      if (reads > 1) done.reads[0] = without.data(), done.reads[2] = other.data();
      compute_pointwise(direction, data, *of.loops, {threads, epilogue, done, algorithm}, &to);
      const std::string name = name_of(of, data, direction) + ", algorithm " +
                               std::to_string(static_cast<int>(algorithm)) + ", " + std::to_string(threads) +
                               " threads, reads " + std::to_string(reads);
      listener.expect_all(name);
      if (ends.empty()) ends = listener.ends();
      EXPECT_EQ(listener.ends(), ends) << name;
      EXPECT_TRUE(to.same_bits(without)) << name;
    }
}

}  // namespace mox::convolutions::testing
