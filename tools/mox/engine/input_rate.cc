#include "engine/input_rate.h"

#include <chrono>
#include <memory>
#include <thread>

#include "base/process_usage.h"
#include "graph/graph_state.h"
#include "input/lift_input.h"
#include "input/stateless_input.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "passes/fuse_augment.h"
#include "tensorflow/core/public/session.h"

namespace mox::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kEpochs = 3, kReadAhead = 256;

template <typename Options>
Options filled(const InputRow& row) {
  Options options;
  options.num_epochs = kEpochs;
  options.cache_dir = row.cache_dir;
  if (row.augmentation.empty()) {
    options.batch_size = row.batch_size;
    options.image_size = row.size;
  }
  return options;
}

std::unique_ptr<Dataset> open_input(const InputRow& row) {
  if (row.records) {
    auto options = filled<ImageTFRecordDatasetOptions>(row);
    options.shuffle_buffer_size = kReadAhead;
    return std::make_unique<ImageClassificationTFRecordDataset>(
        ImageClassificationTFRecordMetadata(row.url, {"*.tfrecord"}), options);
  }
  auto options = filled<RawDatasetOptions>(row);
  options.capacity = kReadAhead;
  options.cache = row.cache;
  if (row.url.find("://") != std::string::npos) options.reader_class = "AsyncRawGenerator";
  if (row.bytes) options.preprocess_fn = [](const Scope&, const RawSample& sample) { return sample; };
  return std::make_unique<ImageClassificationRawDataset>(ImageClassificationRawMetadata(row.url), options);
}

// As a run has it: augmentation is a part of input_fn, is lifted into tf.data, and goes through the inputs' passes.
LiftedInput lifted_input(const Scope& scope, const InputRow& row, Dataset* dataset) {
  auto outputs = dataset->get(scope, {"image", "label"});
  if (!row.augmentation.empty())
    outputs[0] =
        get_data_augmentation_fn(row.augmentation, row.mode, row.size.height, row.size.width)(scope, outputs[0]);
  InputGraph input{{}, {}, scope.state().iterator_feeds, scope.state().iterator_initializers};
  scope.graph()->ToGraphDef(&input.graph);
  for (const auto& output : outputs) input.outputs.push_back(tensor_info(scope.state().refiner, output));
  LiftOptions options;
  options.auto_batch = !row.augmentation.empty();
  options.batch_size = row.batch_size;
  options.parallelism = static_cast<int>(std::thread::hardware_concurrency());
  LiftedInput lifted = lift_input(input, options);
  fuse_augmentation(&lifted.graph);
  make_input_stateless(&lifted.graph, {"input/make_iterator"});
  return lifted;
}

void check(const absl::Status& status, const InputRow& row) {
  if (!status.ok()) throw RunError("reading " + row.url + ": " + std::string(status.message()));
}

}  // namespace

InputRate measure_input(const InputRow& row) {
  const Scope scope = Scope::new_root();
  scope.state().seed = 1;
  const auto dataset = open_input(row);
  const LiftedInput input = lifted_input(scope, row, dataset.get());
  const std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession({}));
  check(session->Create(input.graph), row);
  std::vector<std::pair<std::string, tensorflow::Tensor>> feeds;
  for (const auto& [name, tensor] : input.feeds) feeds.emplace_back(name + ":0", tensor);
  check(session->Run(feeds, {}, input.initializers, nullptr), row);
  const int64_t epoch = dataset->num_samples();
  InputRate rate;
  int64_t images = 0, begin_images = 0;
  auto begin = Clock::now();
  double begin_cpu = 0;
  std::vector<tensorflow::Tensor> out;
  while (images < 2 * epoch) {
    const auto status = session->Run({}, input.tower_inputs[0], {}, &out);
    if (absl::IsOutOfRange(status)) break;
    check(status, row);
    images += out[1].NumElements();
    if (begin_images > 0 || images < epoch) continue;
    begin_images = images;
    begin = Clock::now();
    begin_cpu = cpu_seconds();
  }
  rate.images = images - begin_images;
  rate.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  rate.cpu_seconds = cpu_seconds() - begin_cpu;
  return rate;
}

}  // namespace mox::cli
