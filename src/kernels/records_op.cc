// MoxRecordsDataset: the records of one TFRecord file, each with its name "path, record at byte N".
//
// A broken record is an error of one element: what follows it is still delivered. With a cache folder the file is read
// from a copy on local disk, made when it is first opened; where only the copy is broken, the file itself is read on.

#include "base/mutex.h"
#include "data/cache_inputs.h"
#include "data/record_file.h"
#include "data/storage.h"
#include "kernels/op_base.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxRecordsDataset")
    .Input("path: string")
    .Input("size: int64")
    .Input("version: int64")
    .Input("cache_dir: string")
    .Input("remove_cache: bool")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::ScalarShape);

struct RecordSource {
  std::string path;
  int64_t size = -1;
  int64_t version = 0;
  std::shared_ptr<SampleCache> cache;  // may be null
};

class RecordsDataset : public tf::data::DatasetBase {
 public:
  RecordsDataset(tf::OpKernelContext* context, OutputAttrs attrs, RecordSource source)
      : DatasetBase(tf::data::DatasetContext(context)), attrs_(std::move(attrs)), source_(std::move(source)) {}

  const tf::DataTypeVector& output_dtypes() const override { return attrs_.types; }
  const std::vector<tf::PartialTensorShape>& output_shapes() const override { return attrs_.shapes; }
  std::string DebugString() const override { return "MoxRecordsDataset"; }
  absl::Status InputDatasets(std::vector<const DatasetBase*>*) const override { return absl::OkStatus(); }
  absl::Status CheckExternalState() const override { return absl::OkStatus(); }

 protected:
  absl::Status AsGraphDefInternal(tf::data::SerializationContext*, DatasetGraphDefBuilder*, tf::Node**) const override {
    return absl::UnimplementedError("MoxRecordsDataset is not serialized");
  }
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

 private:
  class Iterator;
  OutputAttrs attrs_;
  RecordSource source_;
};

class RecordsDataset::Iterator : public PipelineIterator<RecordsDataset> {
 public:
  using PipelineIterator<RecordsDataset>::PipelineIterator;

  absl::Status GetNextInternal(IteratorContext*, std::vector<tf::Tensor>* out, bool* end) override {
    MutexLock lock(mutex_);
    *end = false;
    if (failed_) {
      *end = true;
      return absl::OkStatus();
    }
    if (!file_) {
      if (auto status = open(); !status.ok()) {
        failed_ = true;  // one broken element, then nothing
        return status;
      }
    }
    tf::Tensor record(tf::DT_STRING, {});
    absl::Status error;
    switch (file_->next(&record.scalar<tf::tstring>()(), &error)) {
      case RecordFile::Result::kBroken:
        if (copy_.empty() || !read_behind_copy(&record.scalar<tf::tstring>()())) return error;
        break;
      case RecordFile::Result::kEnd:
        *end = true;
        return absl::OkStatus();
      case RecordFile::Result::kRecord:
        break;
    }
    tf::Tensor name(tf::DT_STRING, {});
    name.scalar<tf::tstring>()() = dataset()->source_.path + ", record at byte " + std::to_string(file_->offset());
    *out = {std::move(record), std::move(name)};
    return absl::OkStatus();
  }

 private:
  absl::Status open() MOX_REQUIRES(mutex_) {
    const RecordSource& source = dataset()->source_;
    std::string path = source.path;
    if (source.cache)
      path = source.cache->local_copy(
          source.path + "\n" + std::to_string(source.size) + "\n" + std::to_string(source.version), source.path,
          source.size);
    std::unique_ptr<tf::RandomAccessFile> file;
    const auto status = open_random(path, &file);
    if (!status.ok())
      return absl::Status(status.code(),
                          "TFRecord file " + source.path + " cannot be opened: " + std::string(status.message()));
    file_ = std::make_unique<RecordFile>(source.path, std::move(file), source.size);
    if (path != source.path) copy_ = path;
    return absl::OkStatus();
  }

  // Whether the record that is broken in the copy is whole in the file, which is read from there on.
  bool read_behind_copy(tf::tstring* record) MOX_REQUIRES(mutex_) {
    const RecordSource& source = dataset()->source_;
    std::unique_ptr<tf::RandomAccessFile> file;
    if (!open_random(source.path, &file).ok()) return false;
    auto original = std::make_unique<RecordFile>(source.path, std::move(file), source.size, file_->offset());
    absl::Status ignored;
    if (original->next(record, &ignored) != RecordFile::Result::kRecord) return false;
    source.cache->remove_copy(copy_);
    copy_.clear();
    file_ = std::move(original);
    return true;
  }

  Mutex mutex_;
  std::unique_ptr<RecordFile> file_ MOX_GUARDED_BY(mutex_);
  std::string copy_ MOX_GUARDED_BY(mutex_);  // the path of the copy that is read; empty: the file itself is
  bool failed_ MOX_GUARDED_BY(mutex_) = false;
};

std::unique_ptr<tf::data::IteratorBase> RecordsDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxRecords"});
}

class RecordsOp : public tf::data::DatasetOpKernel {
 public:
  explicit RecordsOp(tf::OpKernelConstruction* context) : DatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase** output) override {
    RecordSource source;
    tf::tstring path;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "path", &path));
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "size", &source.size));
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "version", &source.version));
    OP_REQUIRES_OK(context, open_cache(context, &source.cache));
    source.path = path;
    *output = new RecordsDataset(context, attrs_, std::move(source));
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxRecordsDataset").Device(tf::DEVICE_CPU), RecordsOp);

}  // namespace
}  // namespace mox::data
