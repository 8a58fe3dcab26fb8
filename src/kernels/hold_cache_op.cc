// MoxHoldCacheDataset: its input, and a hold on a cache folder as long as there are iterators. Datasets that an epoch
// makes anew come and go: between two epochs nobody else holds the cache, and one that goes when nobody does would go.
#include "data/cache_inputs.h"
#include "kernels/op_base.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxHoldCacheDataset")
    .Input("input_dataset: variant")
    .Input("cache_dir: string")
    .Input("remove_cache: bool")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::ScalarShape);

class HoldCacheDataset : public UnaryDataset {
 public:
  HoldCacheDataset(tf::OpKernelContext* context, const DatasetBase* input, const OutputAttrs& attrs,
                   std::shared_ptr<SampleCache> cache)
      : UnaryDataset(context, input, attrs.types, attrs.shapes), cache_(std::move(cache)) {}

  std::string DebugString() const override { return "MoxHoldCacheDataset"; }
  int64_t CardinalityInternal(tf::data::CardinalityOptions options) const override {
    return input()->Cardinality(options);
  }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override {
    return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxHoldCache"});
  }

 private:
  class Iterator : public PipelineIterator<HoldCacheDataset> {
   public:
    using PipelineIterator<HoldCacheDataset>::PipelineIterator;
    absl::Status Initialize(IteratorContext* context) override {
      return dataset()->input()->MakeIterator(context, this, prefix(), &input_);
    }
    absl::Status GetNextInternal(IteratorContext* context, std::vector<tf::Tensor>* out, bool* end) override {
      return input_->GetNext(context, out, end);
    }

   private:
    std::unique_ptr<tf::data::IteratorBase> input_;
  };

  const std::shared_ptr<SampleCache> cache_;
};

class HoldCacheOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit HoldCacheOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input,
                   tf::data::DatasetBase** output) override {
    std::shared_ptr<SampleCache> cache;
    OP_REQUIRES_OK(context, open_cache(context, &cache));
    *output = new HoldCacheDataset(context, input, attrs_, std::move(cache));
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxHoldCacheDataset").Device(tf::DEVICE_CPU), HoldCacheOp);

}  // namespace
}  // namespace mox::data
