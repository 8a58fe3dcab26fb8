// Variables that lie in checkpoints as pieces and are trained as one, see passes/join_pieces.h.
#include <map>

#include "run/toy_model.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;

// The toy model with a layer of six before it, whose weights are three pieces. `apart`: each stays a variable of its
// own, because somebody looks at its handle.
ModelFn model_in_pieces(bool apart) {
  return [apart](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    std::vector<Output> pieces;
    for (const char* path : {"path_1", "path_2", "path_3"}) {
      const Variable piece = s.get_variable_object(std::string(path) + "/weights", {4, 2});
      if (apart) ops::VarIsInitializedOp(s, piece.handle);
      pieces.push_back(piece.value);
    }
    const Output hidden = ops::Tanh(s, ops::MatMul(s, inputs[0], ops::Concat(s, pieces, 1)));
    const Output loss = ops::Mean(s, ops::Square(s, ops::Sub(s, ops::Sum(s, hidden, 1), inputs[1])), 0);
    return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
  };
}

RunOptions pieces_options(const std::string& log_dir, bool apart, int64_t steps) {
  RunOptions options = toy_options(log_dir, steps);
  options.model_fn = model_in_pieces(apart);
  options.optimizer_fn = get_optimizer_fn("momentum", 0.01);
  options.random_seed = 7;
  return options;
}

using Saved = std::map<std::string, std::vector<float>>;

Saved saved_floats(const std::string& prefix) {
  tensorflow::BundleReader reader(tensorflow::Env::Default(), prefix);
  TF_CHECK_OK(reader.status());
  Saved saved;
  for (reader.Seek(""); reader.Valid(); reader.Next()) {
    const std::string name(reader.key());
    tensorflow::Tensor value;
    if (name.empty() || !reader.Lookup(name, &value).ok() || value.dtype() != tensorflow::DT_FLOAT) continue;
    EXPECT_EQ(value.shape(), tensorflow::TensorShape({4, 2})) << name;
    saved[name].assign(value.flat<float>().data(), value.flat<float>().data() + value.NumElements());
  }
  return saved;
}

TEST(Pieces, AreSavedUnderTheirNames) {
  TempDir joined, apart;
  run(pieces_options(joined.path(), false, 5));
  run(pieces_options(apart.path(), true, 5));
  const Saved saved = saved_floats(joined.path("model.ckpt-5"));
  EXPECT_EQ(saved.size(), 6u);
  EXPECT_TRUE(saved.count("path_2/weights/Momentum"));
  EXPECT_EQ(saved, saved_floats(apart.path("model.ckpt-5")));
}

TEST(Pieces, AreTrainedOnFromTheirCheckpoint) {
  TempDir whole, parts;
  for (const int64_t steps : {2, 5}) run(pieces_options(parts.path(), false, steps));
  // Those of the last session may not be the first's: their names are.
  run(pieces_options(whole.path(), true, 2));
  run(pieces_options(whole.path(), false, 5));
  EXPECT_EQ(saved_floats(whole.path("model.ckpt-5")), saved_floats(parts.path("model.ckpt-5")));
}

TEST(Pieces, AreRestoredOneByOne) {
  TempDir from, joined, apart;
  run(pieces_options(from.path(), false, 5));
  set_flag("checkpoint_exclude_patterns", "path_2/");
  for (const bool is_apart : {false, true}) {
    RunOptions options = pieces_options((is_apart ? apart : joined).path(), is_apart, 1);
    options.checkpoint_path = from.path("model.ckpt-5");
    run(options);
  }
  reset_flags();
  const Saved saved = saved_floats(joined.path("model.ckpt-1"));
  EXPECT_EQ(saved, saved_floats(apart.path("model.ckpt-1")));
  EXPECT_NE(saved.at("path_1/weights"), saved.at("path_2/weights"));
}

}  // namespace
}  // namespace mox
