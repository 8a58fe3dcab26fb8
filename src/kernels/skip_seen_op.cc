// MoxSkipSeenDataset: passes over the records that a training which goes on has seen, and says how far it is: of large
// files that takes minutes.
#include <algorithm>

#include "base/mutex.h"
#include "data/wait_log.h"
#include "kernels/op_base.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxSkipSeenDataset")
    .Input("input_dataset: variant")
    .Input("count: int64")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetShapeFn(tf::shape_inference::ScalarShape);

class SkipSeenDataset : public UnaryDataset {
 public:
  SkipSeenDataset(tf::OpKernelContext* context, const DatasetBase* input, const OutputAttrs& attrs, int64_t count)
      : UnaryDataset(context, input, attrs.types, attrs.shapes), count_(count) {}

  std::string DebugString() const override { return "MoxSkipSeenDataset"; }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

 private:
  class Iterator;
  const int64_t count_;
};

class SkipSeenDataset::Iterator : public PipelineIterator<SkipSeenDataset> {
 public:
  using PipelineIterator<SkipSeenDataset>::PipelineIterator;

  absl::Status Initialize(IteratorContext* context) override {
    return dataset()->input()->MakeIterator(context, this, prefix(), &input_);
  }

  absl::Status GetNextInternal(IteratorContext* context, std::vector<tf::Tensor>* out, bool* end) override {
    MutexLock lock(mutex_);
    TF_RETURN_IF_ERROR(skip(context, end));
    return *end ? absl::OkStatus() : input_->GetNext(context, out, end);
  }

 private:
  absl::Status skip(IteratorContext* context, bool* end) MOX_REQUIRES(mutex_) {
    constexpr int kAtOnce = 100;
    *end = false;
    const int64_t count = dataset()->count_;
    if (skipped_ >= count) return absl::OkStatus();
    WaitLog wait_log("the training goes on: passing over what it has seen", "records", count);
    while (skipped_ < count && !*end) {
      int skipped = 0;
      TF_RETURN_IF_ERROR(
          input_->Skip(context, static_cast<int>(std::min<int64_t>(kAtOnce, count - skipped_)), end, &skipped));
      skipped_ += skipped;
      wait_log.add(skipped);
    }
    return absl::OkStatus();
  }

  Mutex mutex_;
  std::unique_ptr<tf::data::IteratorBase> input_ MOX_GUARDED_BY(mutex_);
  int64_t skipped_ MOX_GUARDED_BY(mutex_) = 0;
};

std::unique_ptr<tf::data::IteratorBase> SkipSeenDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxSkipSeen"});
}

class SkipSeenOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit SkipSeenOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input,
                   tf::data::DatasetBase** output) override {
    int64_t count = 0;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "count", &count));
    *output = new SkipSeenDataset(context, input, attrs_, count);
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxSkipSeenDataset").Device(tf::DEVICE_CPU), SkipSeenOp);

}  // namespace
}  // namespace mox::data
