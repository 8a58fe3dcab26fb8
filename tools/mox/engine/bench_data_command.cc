// mox bench data: images a second that data sets deliver.
#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"
#include "base/pattern.h"
#include "base/process_usage.h"
#include "command_line.h"
#include "engine/bench_report.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/input_rate.h"
#include "moxing/moxing.h"

namespace mox::cli {
namespace {

using nlohmann::ordered_json;

constexpr char kBenchData[] =
    "Reads images as a training does, and says how many a second: from class folders (--data_url), from TFRecord files "
    "(--tfrecord_url), on disk or s3://. Of three epochs the second is timed.\n"
    "Rows: bytes (files as they are), images (decoded and resized), augmented (as --preprocessing_name's network "
    "trains "
    "on them), tfrecord and tfrecord_augmented (the same of TFRecord files).\n"
    "Examples:\n  mox bench data --data_url=FLOWERS\n"
    "  mox bench data --data_url=s3://bucket/flowers --tfrecord_url=s3://bucket/records --cache_dir=/cache";

constexpr char kDataNotes[] =
    "images/cpu second: images of one second of one core; what a training can have, when its own work leaves that much "
    "of a core. With a cache: the first epoch filled it.\n";

constexpr char kBytes[] = "bytes", kImages[] = "images", kAugmented[] = "augmented", kRecords[] = "tfrecord",
               kRecordsAugmented[] = "tfrecord_augmented";
constexpr const char* kRows[] = {kBytes, kImages, kAugmented, kRecords, kRecordsAugmented};

// The cache that the first epoch fills; none: the second epoch is read as the first.
constexpr char kNoCache[] = "none";
constexpr char kPixels[] = "decoded";
constexpr const char* kCaches[] = {kNoCache, "encoded", kPixels};

struct DataArguments {
  std::string data_url, tfrecord_url, rows, cache_dir, caches, output_url;
  std::string preprocessing_name = "resnet_v1_50", mode = "TRAIN";
  int64_t image_size = 224, batch_size = 32;
  bool as_json = false;
};

void add_flags(CommandLine& app, DataArguments* a) {
  app.option("--data_url", a->data_url, "class folders (daisy/1.jpg), maybe under train/");
  app.option("--tfrecord_url", a->tfrecord_url, "folder of *.tfrecord files, as mox data convert writes them");
  app.option("--rows", a->rows, fmt::format("some of {}; default: all that the folders allow", fmt::join(kRows, ",")));
  app.option("--preprocessing_name", a->preprocessing_name, "of the augmented rows: a network's name").show_default();
  app.option("--mode", a->mode, "of the augmented rows").one_of({"TRAIN", "EVAL"}).show_default();
  app.number("--image_size", a->image_size, {1, kMaxImageSide}, "pixels a side of what is delivered").show_default();
  app.number("--batch_size", a->batch_size, {1, kMaxBatchSize}, "samples a batch").show_default();
  app.option("--cache_dir", a->cache_dir, "where caches are; what is measured leaves nothing there");
  app.option("--caches", a->caches,
             fmt::format("how each row is read, some of {}; default: all, with --cache_dir; decoded: the rows images "
                         "and augmented",
                         fmt::join(kCaches, ",")));
  app.flag("--json", a->as_json, "print one JSON object");
  app.option("--output_url", a->output_url, "one HTML page with the table");
}

// A cache of pixels is for class folders whose images are decoded.
bool can_have(const std::string& row, const std::string& cache) {
  return cache != kPixels || row == kImages || row == kAugmented;
}

bool of_records(const std::string& row) { return row.starts_with(kRecords); }

// The words of a list, each one of `known`.
template <size_t kCount>
std::vector<std::string> words_of(const std::string& flag, const std::string& text,
                                  const char* const (&known)[kCount]) {
  std::vector<std::string> words = split_list(text);
  for (const std::string& word : words)
    if (std::find(std::begin(known), std::end(known), word) == std::end(known))
      throw InvalidArgumentError(fmt::format("{} has '{}', expected some of {}", flag, word, fmt::join(known, ", ")));
  return words;
}

std::vector<std::string> rows_of(const DataArguments& a) {
  if (a.data_url.empty() && a.tfrecord_url.empty())
    throw InvalidArgumentError("--data_url or --tfrecord_url is needed: the folder to read from");
  std::vector<std::string> rows = words_of("--rows", a.rows, kRows);
  for (const std::string& row : rows)
    if ((of_records(row) ? a.tfrecord_url : a.data_url).empty())
      throw InvalidArgumentError(
          fmt::format("--rows has '{}', which needs --{}_url", row, of_records(row) ? "tfrecord" : "data"));
  if (rows.empty())
    for (const char* row : kRows)
      if (!(of_records(row) ? a.tfrecord_url : a.data_url).empty()) rows.emplace_back(row);
  return rows;
}

// InvalidArgumentError for a name that no network has.
void check_augmentation(const DataArguments& a, const std::vector<std::string>& rows) {
  if (std::any_of(rows.begin(), rows.end(), [](const std::string& row) { return row.ends_with(kAugmented); }))
    get_data_augmentation_fn(a.preprocessing_name, ModeKeys::EVAL, a.image_size, a.image_size);
}

std::vector<std::string> caches_of(const DataArguments& a) {
  std::vector<std::string> caches = words_of("--caches", a.caches, kCaches);
  if (caches.empty()) caches.emplace_back(kNoCache);
  if (a.caches.empty() && !a.cache_dir.empty()) caches.assign(std::begin(kCaches), std::end(kCaches));
  if (a.cache_dir.empty() && (caches.size() > 1 || caches[0] != kNoCache))
    throw InvalidArgumentError(fmt::format("--caches is '{}', which needs --cache_dir", a.caches));
  return caches;
}

InputRow input_of(const DataArguments& a, const std::string& row) {
  InputRow input;
  input.records = of_records(row);
  input.bytes = row == kBytes;
  if (row.ends_with(kAugmented)) input.augmentation = a.preprocessing_name;
  input.mode = a.mode == "TRAIN" ? ModeKeys::TRAIN : ModeKeys::EVAL;
  ClassifierConfig config;
  config.data_url = input.records ? a.tfrecord_url : a.data_url;
  const ClassifierData data(config);
  input.url = data.folder(data.train_split());
  input.size = {a.image_size, a.image_size};
  input.batch_size = a.batch_size;
  return input;
}

// A folder of its own below cache_dir, so that nobody's cache is touched; it goes also after an error.
class CacheFolder {
 public:
  CacheFolder(const std::string& cache_dir, const std::string& row, const std::string& cache)
      : path_(cache == kNoCache ? "" : cache_dir + "/mox_bench_" + row + "_" + cache) {
    if (!path_.empty() && file::exists(path_))
      throw InvalidArgumentError(fmt::format("--cache_dir: {} is there, which an earlier run left; remove it", path_));
  }
  ~CacheFolder() {
    try {
      if (!path_.empty() && file::exists(path_)) file::remove(path_, true);
    } catch (const Error& e) {
      log_warning(e.what());
    }
  }
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;
  // "": no cache.
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

ordered_json measure(const DataArguments& a, const std::string& row, const std::string& cache) {
  const CacheFolder folder(a.cache_dir, row, cache);
  InputRow input = input_of(a, row);
  input.cache_dir = folder.path();
  if (!input.cache_dir.empty()) input.cache = cache;
  const std::string name = row + (cache == kNoCache ? "" : ", cached " + cache);
  log_info(name);
  const InputRate rate = measure_input(input);
  if (rate.images == 0)
    throw DataError(
        fmt::format("{}: {} has too few images for one batch of {} an epoch", name, input.url, input.batch_size));
  const auto images = static_cast<double>(rate.images);
  return {{"row", row},
          {"cache", cache},
          {"images", rate.images},
          {"images_per_second", images / rate.seconds},
          {"images_per_cpu_second", rate.cpu_seconds > 0 ? images / rate.cpu_seconds : 0},
          {"peak_mib", peak_mib()}};
}

}  // namespace

int run_bench_data(const std::vector<std::string>& args) {
  CommandLine app(kBenchData, "mox bench data");
  DataArguments a;
  add_flags(app, &a);
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  const std::vector<std::string> rows = rows_of(a), caches = caches_of(a);
  check_augmentation(a, rows);
  const double before = peak_mib();
  BenchReport report{"mox bench data", {}, {}, "", "", "", kDataNotes};
  report.setup = {{"data_url", a.data_url},
                  {"tfrecord_url", a.tfrecord_url},
                  {"image_size", a.image_size},
                  {"batch_size", a.batch_size},
                  {"mode", a.mode},
                  {"preprocessing_name", a.preprocessing_name},
                  {"mib_before", before}};
  for (const std::string& row : rows)
    for (const std::string& cache : caches)
      if (can_have(row, cache)) report.rows.push_back(measure(a, row, cache));
  tell(report, a.as_json, a.output_url);
  return kDone;
}

}  // namespace mox::cli
