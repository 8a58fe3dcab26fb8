// What goes wrong in a user's function, an input that stalls, two trainings on one folder.
#include <fcntl.h>
#include <sys/wait.h>

#include <filesystem>
#include <thread>

#include "run/log_dir_lock.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;

struct Mine : std::exception {
  const char* what() const noexcept override { return "on purpose"; }
};

class Thrower : public SessionRunHook {
 public:
  explicit Thrower(bool before) : before_(before) {}
  SessionRunArgs before_run(SessionRunContext& context) override {
    if (before_ && context.local_step() == 4) throw Mine();
    return {};
  }
  void after_run(SessionRunContext& context, const SessionRunValues&) override {
    if (!before_ && context.local_step() == 4) throw Mine();
  }

 private:
  const bool before_;
};

TEST(Faults, WhatAHookThrowsComesOutAndTheStateIsSaved) {
  for (const bool before : {true, false}) {
    TempDir dir;
    RunOptions options = toy_options(dir.path(), 100);
    options.model_fn = [before](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      spec.hooks = {std::make_shared<Thrower>(before)};
      return spec;
    };
    EXPECT_THROW(run(options), Mine);
    const std::string saved = before ? "model.ckpt-4.index" : "model.ckpt-5.index";
    EXPECT_TRUE(fs::exists(dir.path(saved))) << saved;
    EXPECT_FALSE(fs::exists(dir.path(".mox_lock")));
  }
}

TEST(Faults, WhatOutputFnThrowsComesOutAndTheStateIsSaved) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 100);
  options.output_every_n_steps = 3;
  options.output_fn = [](const std::vector<OutputDict>&) { throw Mine(); };
  EXPECT_THROW(run(options), Mine);
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-3.index")));
}

// Pooling over samples has no kernel: TensorFlow notices when it prepares the step.
TEST(Faults, AGraphThatCannotRunIsToldBeforeTheTrainingBegins) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 3);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    const Output images = ops::Reshape(s, inputs[0], {8, 2, 2, 1});
    const Output pooled = ops::MaxPool(s, images, {2, 1, 1, 1}, {2, 1, 1, 1}, "VALID");
    spec.log_info.emplace_back("pooled", ops::Max(s, pooled, {0, 1, 2, 3}));
    return spec;
  };
  bool begun = false;
  options.begin_fn = [&] { begun = true; };
  const std::string error = error_of<Error>([&] { run(options); });
  EXPECT_NE(error.find("preparing the step"), std::string::npos) << error;
  EXPECT_NE(error.find("atch dimension"), std::string::npos) << error;
  EXPECT_FALSE(begun);
  EXPECT_FALSE(log.contains("Running will end")) << log.all();
  EXPECT_FALSE(fs::exists(dir.path(".mox_lock")));
}

TEST(Faults, WhatTheOtherFunctionsThrowComesOut) {
  const std::vector<std::function<void(RunOptions*)>> changes = {
      [](RunOptions* o) { o->input_fn = [](const Scope&, ModeKeys) -> std::vector<Output> { throw Mine(); }; },
      [](RunOptions* o) {
        o->model_fn = [](const Scope&, const std::vector<Output>&, ModeKeys) -> ModelSpec { throw Mine(); };
      },
      [](RunOptions* o) { o->optimizer_fn = [](const Scope&) -> std::unique_ptr<Optimizer> { throw Mine(); }; }};
  for (const auto& change : changes) {
    TempDir dir;
    RunOptions options = toy_options(dir.path(), 3);
    change(&options);
    EXPECT_THROW(run(options), Mine);
  }
}

TEST(Faults, ALossThatIsNotFiniteIsNotSaved) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 1000);
  options.optimizer_fn = get_optimizer_fn("sgd", 1e10);
  error_of<RunError>([&] { run(options); });
  EXPECT_FALSE(fs::exists(dir.path("checkpoint")));
}

TEST(Faults, AnInputThatStallsIsNamed) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 1);
  options.batch_size = 1;
  set_flag("stall_report_secs", FlagValue(0.3));
  options.input_fn = [](const Scope& s, ModeKeys) {
    const std::vector<Output> count = counting_input(s, 0);
    // The same iterator on a data set that waits for a second before each element.
    const tensorflow::DataTypeVector types{tensorflow::DT_INT64};
    const std::vector<tensorflow::PartialTensorShape> shapes{tensorflow::PartialTensorShape({})};
    tensorflow::Node *range = nullptr, *make = nullptr, *slow;
    for (tensorflow::Node* node : s.graph()->nodes()) {
      if (node->type_string() == "RangeDataset") range = node;
      if (node->type_string() == "MakeIterator") make = node;
    }
    TF_CHECK_OK(tensorflow::NodeBuilder("slow", "SleepDataset")
                    .Input(range)
                    .Input(ops::Const(s, int64_t{1000000}).node())
                    .Attr("output_types", types)
                    .Attr("output_shapes", shapes)
                    .Finalize(s.graph(), &slow));
    TF_CHECK_OK(s.graph()->UpdateEdge(slow, 0, make, 0));
    Output x = ops::Fill(s, {4}, ops::Cast(s, count[0], tensorflow::DT_FLOAT));
    return std::vector<Output>{x, ops::Const(s, 1.f)};
  };
  run(options);
  reset_flags();
  EXPECT_TRUE(log.contains("the input stalls: a step has waited")) << log.all();
  EXPECT_TRUE(log.contains("s for input_fn (RangeDataset, SleepDataset)")) << log.all();
}

TEST(Faults, ASlowStepIsNoStall) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 1);
  options.stall_report_secs = 0.2;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    Output big = ops::Fill(s, {2000, 2000}, inputs[0].node() ? ops::Sum(s, inputs[1], 0) : inputs[1]);
    for (int i = 0; i < 4; ++i) big = ops::Tanh(s, ops::MatMul(s, big, big));
    spec.log_info.emplace_back("big", ops::Mean(s, big, {0, 1}));
    return spec;
  };
  run(options);
  EXPECT_FALSE(log.contains("the input stalls")) << log.all();
}

TEST(Faults, ASecondTrainingOnTheSameLogDirIsRefused) {
  TempDir dir;
  const LogDirLock held(dir.path());
  const std::string error = error_of<InvalidArgumentError>([&] { run(toy_options(dir.path(), 1)); });
  char host[256] = "";
  gethostname(host, sizeof host);
  EXPECT_NE(error.find("process " + std::to_string(getpid()) + " on host " + host), std::string::npos) << error;
  RunOptions options = toy_options(dir.path(), 0, 8);  // another mode reads only
  options.run_mode = ModeKeys::EVAL;
  EXPECT_NE(error_of<NotFoundError>([&] { run(options); }).find("EVAL needs a checkpoint"), std::string::npos);
}

TEST(Faults, TheLockOfADeadProcessDoesNotBlock) {
  TempDir dir;
  const pid_t child = fork();
  if (child == 0) {
    new LogDirLock(dir.path());  // never released by hand
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(fs::exists(dir.path(".mox_lock")));
  EXPECT_EQ(run(toy_options(dir.path(), 1)).steps, 1);
}

}  // namespace
}  // namespace mox
