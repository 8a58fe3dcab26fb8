// Inference of a network on synthetic images by mox::run: what compare.py runs against PyTorch, ONNX Runtime and
// TensorFlow's own loader. A checkpoint of initial weights is made first where CHECKPOINT has none.
//   inference NETWORK float32|bfloat16 BATCH SECONDS CHECKPOINT [FOLDER] [MoXing's flags]   steps as PREDICT, a line of
//   JSON;
//                                                      FOLDER: for the timeline of a step
//   inference NETWORK export FOLDER CHECKPOINT                                     the exported model's folder
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace ops = tensorflow::ops;
namespace tf = tensorflow;
using tensorflow::Output;

namespace {

constexpr int kClasses = 1000;
constexpr int64_t kTracedStep = 10;

tf::Tensor synthetic_images(const std::string& network, int batch) {
  const int size = mox::get_model_meta(network).default_image_size;
  tf::Tensor images(tf::DT_FLOAT, {batch, size, size, 3});
  uint32_t state = 1;
  for (int64_t i = 0; i < images.NumElements(); ++i)
    images.flat<float>()(i) = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
  return images;
}

Output logits_of(const mox::Scope& s, const std::string& network, const std::string& dtype, const Output& images,
                 mox::ModeKeys mode) {
  const auto model = mox::get_model_fn(network, mode, kClasses, {.batch_norm_fused = true});
  if (dtype != "bfloat16") return model(s, images).logits;
  const mox::Scope narrow = s.var_scope(tf::DT_FLOAT);
  return ops::Cast(s, model(narrow, ops::Cast(narrow, images, tf::DT_BFLOAT16)).logits, tf::DT_FLOAT);
}

mox::RunOptions options_of(const std::string& network, const std::string& dtype, int batch) {
  mox::RunOptions options;
  options.input_fn = [=](const mox::Scope& s, mox::ModeKeys) {
    return std::vector<Output>{ops::Const(s, tf::Input::Initializer(synthetic_images(network, batch)))};
  };
  options.model_fn = [=](const mox::Scope& s, const std::vector<Output>& inputs, mox::ModeKeys mode) {
    const Output logits = logits_of(s, network, dtype, inputs[0], mode);
    mox::ModelSpec spec;
    spec.output_info = {{"logits", logits}};
    if (mode == mox::ModeKeys::EXPORT)
      spec.export_spec = mox::ExportSpec{{{"images", inputs[0]}}, {{"logits", logits}}};
    if (mode == mox::ModeKeys::TRAIN) spec.loss = ops::Mean(s, ops::Square(s, logits), {0, 1});
    return spec;
  };
  options.batch_size = batch;
  options.auto_batch = false;
  options.log_every_n_steps = 0;
  return options;
}

// The weights after one step of training, at a rate of 0.
void make_checkpoint(const std::string& network, const std::string& folder) {
  if (std::filesystem::exists(folder + "/checkpoint")) return;
  mox::RunOptions options = options_of(network, "float32", 2);
  options.optimizer_fn = mox::get_optimizer_fn("sgd", 0.0);
  options.run_mode = mox::ModeKeys::TRAIN;
  options.log_dir = folder;
  options.max_number_of_steps = 1;
  options.save_summary_steps = 0;
  mox::run(options);
}

void predict(const std::string& network, const std::string& dtype, int batch, double seconds,
             const std::string& checkpoint, const std::string& timeline_folder) {
  using Clock = std::chrono::steady_clock;
  mox::RunOptions options = options_of(network, dtype, batch);
  options.run_mode = mox::ModeKeys::PREDICT;
  options.checkpoint_path = checkpoint;
  if (!timeline_folder.empty()) {
    options.log_dir = timeline_folder;
    options.trace_step = kTracedStep;
  }
  std::vector<double> stamps;
  Clock::time_point begin;
  options.output_fn = [](const std::vector<mox::OutputDict>&) {};
  options.output_every_n_steps = 1;
  const mox::ModelFn model = options.model_fn;
  class UntilEnough : public mox::SessionRunHook {
   public:
    UntilEnough(double seconds, std::vector<double>* stamps) : seconds_(seconds), stamps_(stamps) {}
    void after_run(mox::SessionRunContext& context, const mox::SessionRunValues&) override {
      const double now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
      stamps_->push_back(now);
      if (stamps_->size() > 4 && now - stamps_->front() > seconds_) context.request_stop();
    }

   private:
    const double seconds_;
    std::vector<double>* stamps_;
  };
  const auto hook = std::make_shared<UntilEnough>(seconds, &stamps);
  options.model_fn = [&](const mox::Scope& s, const std::vector<Output>& inputs, mox::ModeKeys mode) {
    mox::ModelSpec spec = model(s, inputs, mode);
    spec.hooks = {hook};
    return spec;
  };
  mox::run(options);
  std::string times;
  for (size_t i = 1; i < stamps.size(); ++i)
    times += fmt::format("{}{:.6f}", times.empty() ? "" : ", ", stamps[i] - stamps[i - 1]);
  std::cout << "\n{\"step_seconds\": [" << times << "]}\n";
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> args = mox::parse_flags({argv + 1, argv + argc});
  if (args.size() == 4 && args[1] == "export") {
    make_checkpoint(args[0], args[3]);
    mox::ExportOptions options;
    options.model_fn = options_of(args[0], "float32", 1).model_fn;
    const int size = mox::get_model_meta(args[0]).default_image_size;
    options.inputs = {{tf::DT_FLOAT, {-1, size, size, 3}}};
    options.checkpoint_path = args[3];
    options.log_dir = args[2];
    std::cout << mox::export_model(options) << "\n";
    return 0;
  }
  if (args.size() != 5 && args.size() != 6) {
    std::cerr << "usage: inference NETWORK float32|bfloat16 BATCH SECONDS CHECKPOINT [FOLDER], or NETWORK export "
                 "FOLDER CHECKPOINT\n";
    return 2;
  }
  make_checkpoint(args[0], args[4]);
  predict(args[0], args[1], std::stoi(args[2]), std::stod(args[3]), args[4], args.size() > 5 ? args[5] : "");
  return 0;
} catch (const std::exception& e) {
  std::cerr << "inference: " << e.what() << "\n";
  return 1;
}
