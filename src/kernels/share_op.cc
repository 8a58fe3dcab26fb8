// A worker's share of a row that is dealt out to all in blocks, see input_position::Share.
// MoxShareDataset: the elements of its input that are this worker's. MoxPlacesDataset: the places of its own samples.
#include <algorithm>

#include "base/mutex.h"
#include "input/input_position.h"
#include "kernels/op_base.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using input_position::Share;
using tf::data::IteratorContext;

absl::Status read_share(tf::OpKernelContext* context, int64_t unit, Share* share) {
  const tf::Tensor* tensor = nullptr;
  TF_RETURN_IF_ERROR(context->input("share", &tensor));
  if (tensor->NumElements() != 4 || tensor->dtype() != tf::DT_INT64)
    return absl::InvalidArgumentError("share: expected int64[4]");
  const auto values = tensor->flat<int64_t>();
  *share = {values(0), values(1), values(2), std::max<int64_t>(1, values(3) / unit)};
  if (share->workers < 1 || share->worker < 0 || share->worker >= share->workers)
    return absl::InvalidArgumentError("share: expected 0 <= worker < workers");
  return absl::OkStatus();
}

// `unit`: samples in an element. An element of several samples is never divided.
REGISTER_OP("MoxShareDataset")
    .Input("input_dataset: variant")
    .Input("share: int64")
    .Output("handle: variant")
    .Attr("unit: int >= 1")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::ScalarShape);

class ShareDataset : public UnaryDataset {
 public:
  ShareDataset(tf::OpKernelContext* context, const DatasetBase* input, const Share& share)
      : UnaryDataset(context, input, input->output_dtypes(), input->output_shapes()), share_(share) {}

  std::string DebugString() const override { return "MoxShareDataset"; }
  int64_t CardinalityInternal(tf::data::CardinalityOptions options) const override {
    const int64_t all = input()->Cardinality(options), round = share_.workers * share_.block;
    if (all < 0) return all;
    const int64_t rest = std::clamp<int64_t>(all % round - share_.worker * share_.block, 0, share_.block);
    return all / round * share_.block + rest;
  }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override {
    return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxShare"});
  }

 private:
  class Iterator : public PipelineIterator<ShareDataset> {
   public:
    using PipelineIterator<ShareDataset>::PipelineIterator;
    absl::Status Initialize(IteratorContext* context) override {
      const MutexLock lock(mutex_);
      to_skip_ = share().worker * share().block;
      in_block_ = share().block;
      return dataset()->input()->MakeIterator(context, this, prefix(), &input_);
    }
    absl::Status GetNextInternal(IteratorContext* context, std::vector<tf::Tensor>* out, bool* end) override {
      const MutexLock lock(mutex_);
      *end = ended_;
      if (ended_) return absl::OkStatus();
      if (in_block_ == 0) {
        in_block_ = share().block;
        to_skip_ = (share().workers - 1) * share().block;
      }
      if (to_skip_ > 0) {
        int skipped = 0;
        TF_RETURN_IF_ERROR(input_->Skip(context, static_cast<int>(to_skip_), &ended_, &skipped));
        to_skip_ = 0;
      }
      if (!ended_) TF_RETURN_IF_ERROR(input_->GetNext(context, out, &ended_));
      *end = ended_;
      --in_block_;
      return absl::OkStatus();
    }

   private:
    const Share& share() const { return dataset()->share_; }

    Mutex mutex_;
    std::unique_ptr<tf::data::IteratorBase> input_;
    int64_t in_block_ MOX_GUARDED_BY(mutex_) = 0, to_skip_ MOX_GUARDED_BY(mutex_) = 0;
    bool ended_ MOX_GUARDED_BY(mutex_) = false;
  };

  const Share share_;
};

class ShareOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit ShareOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("unit", &unit_));
  }

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input,
                   tf::data::DatasetBase** output) override {
    Share share;
    OP_REQUIRES_OK(context, read_share(context, unit_, &share));
    *output = new ShareDataset(context, input, share);
  }

 private:
  int64_t unit_ = 1;
};

REGISTER_KERNEL_BUILDER(Name("MoxShareDataset").Device(tf::DEVICE_CPU), ShareOp);

// For ever: the place of the worker's own sample 0, unit, 2 unit, … in the joint row.
REGISTER_OP("MoxPlacesDataset")
    .Input("share: int64")
    .Output("handle: variant")
    .Attr("unit: int >= 1")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::ScalarShape);

class PlacesDataset : public PipelineDataset {
 public:
  PlacesDataset(tf::OpKernelContext* context, const Share& share, int64_t unit)
      : PipelineDataset(context, {tf::DT_INT64}, {tf::PartialTensorShape({})}), share_(share), unit_(unit) {}

  std::string DebugString() const override { return "MoxPlacesDataset"; }
  int64_t CardinalityInternal(tf::data::CardinalityOptions) const override { return tf::data::kInfiniteCardinality; }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override {
    return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxPlaces"});
  }

 private:
  class Iterator : public PipelineIterator<PlacesDataset> {
   public:
    using PipelineIterator<PlacesDataset>::PipelineIterator;
    absl::Status GetNextInternal(IteratorContext*, std::vector<tf::Tensor>* out, bool* end) override {
      *end = false;
      const Share& share = dataset()->share_;
      const int64_t p = (next_++) * dataset()->unit_;
      tf::Tensor place(tf::DT_INT64, {});
      place.scalar<int64_t>()() =
          share.first + (p / share.block * share.workers + share.worker) * share.block + p % share.block;
      out->push_back(std::move(place));
      return absl::OkStatus();
    }

   private:
    std::atomic<int64_t> next_{0};
  };

  const Share share_;
  const int64_t unit_;
};

class PlacesOp : public tf::data::DatasetOpKernel {
 public:
  explicit PlacesOp(tf::OpKernelConstruction* context) : DatasetOpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("unit", &unit_));
  }

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase** output) override {
    Share share;
    OP_REQUIRES_OK(context, read_share(context, 1, &share));
    *output = new PlacesDataset(context, share, unit_);
  }

 private:
  int64_t unit_ = 1;
};

REGISTER_KERNEL_BUILDER(Name("MoxPlacesDataset").Device(tf::DEVICE_CPU), PlacesOp);

}  // namespace
}  // namespace mox::data
