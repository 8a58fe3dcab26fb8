// MoxReadFilesDataset: reads whole files ahead, many at once, and delivers them in order.
//
// Element in: path, size (-1 unknown), version, anything else. Element out: path, content, anything else. Object stores
// answer one request slowly and many at once fast: `threads` requests are under way over the pooled connections of one
// process. At most `ahead` files are held, and no more once they fill kMostBytesHeld. With a cache folder, what was
// read once comes from local disk; `pixels`: as decoded pixels (data/pixel_file.h) of that height and width (0: the
// file's), turned (0, 1), before that background (-1: none), but a file that cannot be decoded is delivered as it is,
// for who decodes to tell. check_images: files that are empty or cut off are errors here, for pipelines in which a
// function of the user's decodes them.
#include <deque>
#include <optional>

#include "base/mutex.h"
#include "data/cache_inputs.h"
#include "data/decode_image.h"
#include "data/pixel_file.h"
#include "data/storage.h"
#include "kernels/op_base.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxReadFilesDataset")
    .Input("input_dataset: variant")
    .Input("threads: int64")
    .Input("ahead: int64")
    .Input("cache_dir: string")
    .Input("remove_cache: bool")
    .Input("check_images: bool")
    .Input("pixels: int64")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetShapeFn(tf::shape_inference::ScalarShape);

struct ReadOptions {
  int64_t threads = 8;
  int64_t ahead = 256;
  bool check_images = false;
  std::optional<DecodeOptions> pixels;  // what the cache keeps; none: the files
  std::shared_ptr<SampleCache> cache;   // may be null
};

// Decoded images are large: of photographs from a camera a few are as much as all others.
constexpr int64_t kMostBytesHeld = int64_t{256} << 20;

// The file's pixels, from the cache or for it.
absl::Status read_pixels(const ReadOptions& options, const std::string& key, const std::string& path,
                         tf::tstring* content) {
  const std::string pixels = key + "\n" + pixel_key(*options.pixels);
  if (options.cache->read(pixels, content)) return absl::OkStatus();
  tf::tstring encoded;
  if (const auto status = read_into(path, &encoded); !status.ok()) return status;
  // Where nothing is kept, as on a full disk, who decodes may do with a part of the pixels.
  if (options.cache->writes() && make_pixel_file({encoded.data(), encoded.size()}, *options.pixels, content).ok())
    options.cache->write(pixels, std::string_view(content->data(), content->size()));
  else
    *content = std::move(encoded);
  return absl::OkStatus();
}

absl::Status read_sample(const ReadOptions& options, const std::string& path, int64_t size, int64_t version,
                         tf::tstring* content) {
  if (!options.cache) return read_into(path, content);
  const std::string key = path + "\n" + std::to_string(size) + "\n" + std::to_string(version);
  if (options.pixels) return read_pixels(options, key, path, content);
  if (options.cache->read(key, content)) return absl::OkStatus();
  const auto status = read_into(path, content);
  if (status.ok()) options.cache->write(key, std::string_view(content->data(), content->size()));
  return status;
}

class ReadFilesDataset : public UnaryDataset {
 public:
  ReadFilesDataset(tf::OpKernelContext* context, const DatasetBase* input, const OutputAttrs& attrs,
                   ReadOptions options)
      : UnaryDataset(context, input, attrs.types, attrs.shapes), options_(std::move(options)) {}

  std::string DebugString() const override { return "MoxReadFilesDataset"; }
  int64_t CardinalityInternal(tf::data::CardinalityOptions options) const override {
    return input()->Cardinality(options);
  }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

 private:
  class Iterator;
  ReadOptions options_;
};

class ReadFilesDataset::Iterator : public PipelineIterator<ReadFilesDataset> {
 public:
  using PipelineIterator<ReadFilesDataset>::PipelineIterator;

  ~Iterator() override {
    cancel();
    threads_.clear();  // joins: what they read last ends within the storage's time-out
    if (unregister_) unregister_();
  }

  absl::Status Initialize(IteratorContext* context) override {
    TF_RETURN_IF_ERROR(tf::RegisterCancellationCallback(
        context->cancellation_manager(), [this] { cancel(); }, &unregister_));
    return dataset()->input()->MakeIterator(context, this, prefix(), &input_);
  }

  absl::Status GetNextInternal(IteratorContext* context, std::vector<tf::Tensor>* out, bool* end) override {
    MutexLock lock(mutex_);
    start_threads(context);
    for (;;) {
      if (cancelled_) return absl::CancelledError("reading files was cancelled");
      if (!files_.empty() && files_.front()->done) break;
      if (files_.empty() && at_end_) {
        *end = true;
        return absl::OkStatus();
      }
      ready_.wait(lock);
    }
    const std::shared_ptr<File> file = std::move(files_.front());
    files_.pop_front();
    bytes_held_ -= file->bytes;
    if (full_ && static_cast<int64_t>(files_.size()) <= refill_at() && bytes_held_ <= kMostBytesHeld * 3 / 4) {
      full_ = false;
      space_.notify_all();
    }
    *end = false;
    if (file->status.ok()) *out = std::move(file->tensors);
    return file->status;
  }

 private:
  struct File {
    std::vector<tf::Tensor> tensors;
    absl::Status status;
    int64_t bytes = 0;  // of the content
    bool done = false;
  };

  void cancel() {
    MutexLock lock(mutex_);
    cancelled_ = true;
    ready_.notify_all();
    space_.notify_all();
  }

  // Threads that found it full go on when a quarter is free: one wake-up for many files instead of one for each.
  int64_t refill_at() const {
    const int64_t ahead = dataset()->options_.ahead;
    return ahead - std::max<int64_t>(1, ahead / 4);
  }

  void start_threads(IteratorContext* context) MOX_REQUIRES(mutex_) {
    if (!threads_.empty()) return;
    auto shared = std::make_shared<IteratorContext>(*context);
    for (int64_t i = 0; i < dataset()->options_.threads; ++i)
      threads_.push_back(context->StartThread("mox_read_files", [this, shared] { read_loop(shared.get()); }));
  }

  void read_loop(IteratorContext* context) {
    while (std::shared_ptr<File> file = take(context)) {
      std::vector<tf::Tensor> out;
      absl::Status status = file->status;
      if (status.ok()) status = read(file->tensors, &out);
      MutexLock lock(mutex_);
      file->tensors = std::move(out);
      if (status.ok()) file->bytes = static_cast<int64_t>(file->tensors[1].scalar<tf::tstring>()().size());
      bytes_held_ += file->bytes;
      file->status = status;
      file->done = true;
      if (!files_.empty() && files_.front()->done) ready_.notify_all();
    }
  }

  // The next path, with its place in the order; null at the end.
  std::shared_ptr<File> take(IteratorContext* context) {
    MutexLock input_lock(input_mutex_);
    {
      MutexLock lock(mutex_);
      if (static_cast<int64_t>(files_.size()) >= dataset()->options_.ahead || bytes_held_ >= kMostBytesHeld)
        full_ = !files_.empty();
      while (!cancelled_ && !at_end_ && full_) space_.wait(lock);
      if (cancelled_ || at_end_) return nullptr;
    }
    auto file = std::make_shared<File>();
    bool end = false;
    file->status = input_->GetNext(context, &file->tensors, &end);
    MutexLock lock(mutex_);
    if (file->status.ok() && end) {
      at_end_ = true;
      ready_.notify_all();
      return nullptr;
    }
    files_.push_back(file);
    return file;
  }

  absl::Status read(std::vector<tf::Tensor>& element, std::vector<tf::Tensor>* out) const {
    const std::string path = element[0].scalar<tf::tstring>()();
    tf::Tensor content(tf::DT_STRING, {});
    TF_RETURN_IF_ERROR(read_sample(dataset()->options_, path, element[1].scalar<int64_t>()(),
                                   element[2].scalar<int64_t>()(), &content.scalar<tf::tstring>()()));
    if (dataset()->options_.check_images) {
      const auto& bytes = content.scalar<tf::tstring>()();
      // Files without an image's extension may hold anything.
      const auto status = check_whole({bytes.data(), bytes.size()}, has_image_extension(path));
      if (!status.ok()) return absl::Status(status.code(), "image " + path + ": " + std::string(status.message()));
    }
    *out = {std::move(element[0]), std::move(content)};
    for (size_t i = 3; i < element.size(); ++i) out->push_back(std::move(element[i]));
    return absl::OkStatus();
  }

  std::function<void()> unregister_;
  Mutex input_mutex_ MOX_ACQUIRED_BEFORE(mutex_);  // files are listed in the order of the input
  std::unique_ptr<tf::data::IteratorBase> input_ MOX_PT_GUARDED_BY(input_mutex_);
  Mutex mutex_;
  CondVar ready_;  // a file was read, or there are no more
  CondVar space_;  // no longer full
  std::deque<std::shared_ptr<File>> files_ MOX_GUARDED_BY(mutex_);
  int64_t bytes_held_ MOX_GUARDED_BY(mutex_) = 0;
  bool full_ MOX_GUARDED_BY(mutex_) = false;  // as many as may be were held, and not yet three quarters
  bool at_end_ MOX_GUARDED_BY(mutex_) = false;
  bool cancelled_ MOX_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<tf::Thread>> threads_ MOX_GUARDED_BY(mutex_);
};

std::unique_ptr<tf::data::IteratorBase> ReadFilesDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxReadFiles"});
}

class ReadFilesOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit ReadFilesOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input,
                   tf::data::DatasetBase** output) override {
    ReadOptions options;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "threads", &options.threads));
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "ahead", &options.ahead));
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "check_images", &options.check_images));
    std::vector<int64_t> pixels;
    OP_REQUIRES_OK(context, tf::data::ParseVectorArgument(context, "pixels", &pixels));
    OP_REQUIRES(context, pixels.empty() || pixels.size() == 4,
                absl::InvalidArgumentError("MoxReadFilesDataset: pixels has " + std::to_string(pixels.size()) +
                                           " numbers, expected none or four"));
    if (!pixels.empty())
      options.pixels = DecodeOptions{.height = pixels[0],
                                     .width = pixels[1],
                                     .apply_exif = pixels[2] != 0,
                                     .background = static_cast<int>(pixels[3])};
    OP_REQUIRES_OK(context, open_cache(context, &options.cache));
    *output = new ReadFilesDataset(context, input, attrs_, std::move(options));
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxReadFilesDataset").Device(tf::DEVICE_CPU), ReadFilesOp);

}  // namespace
}  // namespace mox::data
