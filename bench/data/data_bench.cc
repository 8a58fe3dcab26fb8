// Images a second that a data set delivers, one JSON line a row.
// Usage: data_bench ROW URL [CACHE_DIR]; ROW: bytes, decoded, tfrecord, or vgg, inception (TRAIN), vgg_eval,
// inception_eval, each also with tfrecord_ before it. The second of three epochs is timed: at its end as many samples
// are read ahead as at its begin, a cache is filled and the threads run.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "graph/graph_state.h"
#include "input/lift_input.h"
#include "input/stateless_input.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/preprocessing.h"
#include "passes/fuse_augment.h"
#include "tensorflow/core/public/session.h"

namespace {

constexpr int64_t kBatch = 32;
constexpr mox::ImageSize kSize{224, 224};
constexpr int64_t kCapacity = 256;

// What is measured, as the name of the row tells.
struct Row {
  explicit Row(std::string name) {
    constexpr std::string_view kRecords = "tfrecord", kEval = "_eval";
    records = name.rfind(kRecords, 0) == 0;
    if (records) name.erase(0, std::min(name.size(), kRecords.size() + 1));
    bytes = name == "bytes";
    if (name.empty() || bytes || name == "decoded") return;
    if (name.size() > kEval.size() && name.substr(name.size() - kEval.size()) == kEval) {
      mode = mox::ModeKeys::EVAL;
      name.resize(name.size() - kEval.size());
    }
    augmented = name;
  }
  bool records = false, bytes = false;
  std::string augmented;  // the family of preprocessing
  mox::ModeKeys mode = mox::ModeKeys::TRAIN;
};

std::unique_ptr<mox::Dataset> open(const Row& row, const std::string& url, const std::string& cache_dir) {
  const auto fill = [&](auto options) {
    options.num_epochs = 3;
    options.cache_dir = cache_dir;
    if (row.augmented.empty()) {
      options.batch_size = kBatch;
      options.image_size = kSize;
    }
    return options;
  };
  if (row.records) {
    auto options = fill(mox::ImageTFRecordDatasetOptions());
    options.shuffle_buffer_size = kCapacity;
    return std::make_unique<mox::ImageClassificationTFRecordDataset>(
        mox::ImageClassificationTFRecordMetadata(url, {"train-*"}), options);
  }
  auto options = fill(mox::RawDatasetOptions());
  options.capacity = kCapacity;
  if (url.find("://") != std::string::npos) options.reader_class = "AsyncRawGenerator";
  if (row.bytes) options.preprocess_fn = [](const mox::Scope&, const mox::RawSample& sample) { return sample; };
  return std::make_unique<mox::ImageClassificationRawDataset>(mox::ImageClassificationRawMetadata(url), options);
}

// The pipeline as a run has it: augmentation is a part of input_fn, which is lifted into tf.data, and goes through the
// passes for inputs.
mox::LiftedInput pipeline(const mox::Scope& scope, const Row& row, mox::Dataset* dataset) {
  auto outputs = dataset->get(scope, {"image", "label"});
  if (!row.augmented.empty())
    outputs[0] = mox::get_data_augmentation_fn(row.augmented, row.mode, kSize.height, kSize.width)(scope, outputs[0]);
  mox::InputGraph input{{}, {}, scope.state().iterator_feeds, scope.state().iterator_initializers};
  scope.graph()->ToGraphDef(&input.graph);
  for (const auto& output : outputs) input.outputs.push_back(mox::tensor_info(scope.state().refiner, output));
  mox::LiftOptions options;
  options.auto_batch = !row.augmented.empty();
  options.batch_size = kBatch;
  options.parallelism = static_cast<int>(std::thread::hardware_concurrency());
  mox::LiftedInput lifted = mox::lift_input(input, options);
  mox::fuse_augmentation(&lifted.graph);
  mox::make_input_stateless(&lifted.graph, {"input/make_iterator"});
  return lifted;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// What the process holds now: TensorFlow's libraries, before there is a pipeline.
long rss_mib() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

int run(const std::string& row, const std::string& url, const std::string& cache_dir) {
  const mox::Scope scope = mox::Scope::new_root();
  scope.state().seed = 1;
  const long start_rss = rss_mib();
  const auto dataset = open(Row(row), url, cache_dir);
  const mox::LiftedInput input = pipeline(scope, Row(row), dataset.get());
  std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession({}));
  TF_CHECK_OK(session->Create(input.graph));
  std::vector<std::pair<std::string, tensorflow::Tensor>> feeds;
  for (const auto& [name, tensor] : input.feeds) feeds.emplace_back(name + ":0", tensor);
  TF_CHECK_OK(session->Run(feeds, {}, input.initializers, nullptr));
  std::vector<tensorflow::Tensor> out;
  int64_t images = 0, skipped = 0;
  const int64_t warm = dataset->num_samples();
  double begin = seconds_now(), cpu = cpu_seconds();
  while (images < 2 * warm) {
    const auto status = session->Run({}, input.tower_inputs[0], {}, &out);
    if (absl::IsOutOfRange(status)) break;
    TF_CHECK_OK(status);
    images += out[1].NumElements();
    if (skipped == 0 && images >= warm) {
      skipped = images;
      begin = seconds_now();
      cpu = cpu_seconds();
    }
  }
  const double seconds = seconds_now() - begin;
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "{\"who\": \"moxing\", \"row\": \"%s\", \"url\": \"%s\", \"cache\": %s, \"images\": %ld, \"images_per_s\": %.0f, "
      "\"images_per_cpu_s\": %.0f, \"max_rss_mib\": %ld, \"start_rss_mib\": %ld}\n",
      row.c_str(), url.c_str(), cache_dir.empty() ? "false" : "true", static_cast<long>(images - skipped),
      static_cast<double>(images - skipped) / seconds, static_cast<double>(images - skipped) / (cpu_seconds() - cpu),
      usage.ru_maxrss / 1024, start_rss);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: data_bench ROW URL [CACHE_DIR]; rows: bytes decoded tfrecord vgg inception …\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
  } catch (const mox::Error& e) {
    std::fprintf(stderr, "data_bench: %s\n", e.what());
    return 1;
  }
}
