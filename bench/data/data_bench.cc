// Images a second that a data set delivers, one JSON line a row.
// Usage: data_bench ROW URL [CACHE_DIR]; ROW: bytes, decoded or tfrecord. The second of three epochs is timed: at its
// end as many samples are read ahead as at its begin, a cache is filled and the threads run.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "graph/graph_state.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "tensorflow/core/public/session.h"

namespace {

constexpr int64_t kBatch = 32;
constexpr mox::ImageSize kSize{224, 224};
constexpr int64_t kCapacity = 256;

std::unique_ptr<mox::Dataset> open(const std::string& row, const std::string& url, const std::string& cache_dir) {
  const auto fill = [&](auto options) {
    options.num_epochs = 3;
    options.batch_size = kBatch;
    options.cache_dir = cache_dir;
    options.image_size = kSize;
    return options;
  };
  if (row == "tfrecord") {
    auto options = fill(mox::ImageTFRecordDatasetOptions());
    options.shuffle_buffer_size = kCapacity;
    return std::make_unique<mox::ImageClassificationTFRecordDataset>(
        mox::ImageClassificationTFRecordMetadata(url, {"train-*"}), options);
  }
  auto options = fill(mox::RawDatasetOptions());
  options.capacity = kCapacity;
  if (url.find("://") != std::string::npos) options.reader_class = "AsyncRawGenerator";
  if (row == "bytes") options.preprocess_fn = [](const mox::Scope&, const mox::RawSample& sample) { return sample; };
  return std::make_unique<mox::ImageClassificationRawDataset>(mox::ImageClassificationRawMetadata(url), options);
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
  const long start_rss = rss_mib();
  const auto dataset = open(row, url, cache_dir);
  const auto outputs = dataset->get(scope, {"image", "label"});
  tensorflow::GraphDef graph;
  scope.graph()->ToGraphDef(&graph);
  std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<std::pair<std::string, tensorflow::Tensor>> feeds;
  for (const auto& [name, tensor] : scope.state().iterator_feeds) feeds.emplace_back(name + ":0", tensor);
  TF_CHECK_OK(session->Run(feeds, {}, scope.state().iterator_initializers, nullptr));
  std::vector<tensorflow::Tensor> out;
  int64_t images = 0, skipped = 0;
  const int64_t warm = dataset->num_samples();
  double begin = seconds_now(), cpu = cpu_seconds();
  while (images < 2 * warm) {
    const auto status = session->Run({}, {outputs[0].name(), outputs[1].name()}, {}, &out);
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
    std::fprintf(stderr, "usage: data_bench bytes|decoded|tfrecord URL [CACHE_DIR]\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
  } catch (const mox::Error& e) {
    std::fprintf(stderr, "data_bench: %s\n", e.what());
    return 1;
  }
}
