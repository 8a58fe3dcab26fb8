// auto_batch: what input_fn may return, and what model_fn gets.
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

// The batches that model_fn sees in PREDICT.
std::vector<std::vector<float>> batches(InputFn input_fn, int64_t batch_size, bool auto_batch, int64_t steps) {
  TempDir dir;
  run(toy_options(dir.path(), 1));
  std::vector<std::vector<float>> seen;
  RunOptions options = toy_options(dir.path(), steps);
  options.run_mode = ModeKeys::PREDICT;
  options.batch_size = batch_size;
  options.auto_batch = auto_batch;
  options.input_fn = input_fn;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    s.get_variable("b", {1});
    return ModelSpec{.output_info = {{"batch", ops::Cast(s, inputs[0], tensorflow::DT_FLOAT)}}};
  };
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    const auto flat = outputs[0].at("batch").flat<float>();
    seen.emplace_back(flat.data(), flat.data() + flat.size());
  };
  run(options);
  return seen;
}

using Batches = std::vector<std::vector<float>>;

TEST(LiftInput, SamplesAreBatchedInOrder) {
  auto input = [](const Scope& s, ModeKeys) { return counting_input(s, 7); };
  EXPECT_EQ(batches(input, 3, true, 0), (Batches{{0, 1, 2}, {3, 4, 5}, {6}}));
}

TEST(LiftInput, OperationsOnSamplesAreLifted) {
  auto input = [](const Scope& s, ModeKeys) {
    return std::vector<Output>{ops::Multiply(s, counting_input(s, 5)[0], int64_t{10})};
  };
  EXPECT_EQ(batches(input, 2, true, 0), (Batches{{0, 10}, {20, 30}, {40}}));
}

TEST(LiftInput, BatchesPassAsTheyAre) {
  auto input = [](const Scope& s, ModeKeys) {
    Output n = counting_input(s, 2)[0];
    Output later = ops::Add(s, n, int64_t{100});
    return std::vector<Output>{ops::Stack(s, std::initializer_list<tensorflow::Input>{n, later})};
  };
  EXPECT_EQ(batches(input, 2, false, 0), (Batches{{0, 100}, {1, 101}}));
}

TEST(LiftInput, SeveralIteratorsAreZipped) {
  auto input = [](const Scope& s, ModeKeys) {
    Output a = counting_input(s, 10)[0], b = counting_input(s, 10, "other")[0];
    return std::vector<Output>{ops::Add(s, a, ops::Multiply(s, b, int64_t{100}))};
  };
  EXPECT_EQ(batches(input, 2, true, 1), (Batches{{0, 101}}));
}

TEST(LiftInput, NoIteratorAtAllRunsForEver) {
  auto input = [](const Scope& s, ModeKeys) { return std::vector<Output>{ops::Const(s, 5.f)}; };
  EXPECT_EQ(batches(input, 2, true, 2), (Batches{{5, 5}, {5, 5}}));
}

}  // namespace
}  // namespace mox
