// MoxSkipBrokenDataset: leaves out elements that fail, names each in the log, and stops after too many.
#include <mutex>

#include "data/op_base.h"
#include "moxing/log.h"
#include "tensorflow/core/framework/common_shape_fns.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxSkipBrokenDataset")
    .Input("input_dataset: variant")
    .Input("limit: int64")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetShapeFn(tf::shape_inference::ScalarShape);

class SkipBrokenDataset : public UnaryDataset {
 public:
  SkipBrokenDataset(tf::OpKernelContext* context, const DatasetBase* input, const OutputAttrs& attrs, int64_t limit)
      : UnaryDataset(context, input, attrs.types, attrs.shapes), limit_(limit) {}

  std::string DebugString() const override { return "MoxSkipBrokenDataset"; }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

 private:
  class Iterator;
  const int64_t limit_;
};

// The kernels' own words: TensorFlow adds the names of graph nodes, which say nothing to a user.
std::string plain_message(const absl::Status& status) {
  std::string message(status.message());
  for (const char* tail : {"\n\t [[", " [Op:"})
    if (auto at = message.find(tail); at != std::string::npos) message.resize(at);
  return message;
}

class SkipBrokenDataset::Iterator : public PipelineIterator<SkipBrokenDataset> {
 public:
  using PipelineIterator<SkipBrokenDataset>::PipelineIterator;

  absl::Status Initialize(IteratorContext* context) override {
    return dataset()->input()->MakeIterator(context, this, prefix(), &input_);
  }

  absl::Status GetNextInternal(IteratorContext* context, std::vector<tf::Tensor>* out, bool* end) override {
    std::lock_guard lock(mutex_);
    for (;;) {
      out->clear();
      *end = false;
      const auto status = input_->GetNext(context, out, end);
      if (status.ok()) {
        if (*end && skipped_ > 0 && !told_) {
          told_ = true;
          log_warning("input: " + std::to_string(skipped_) + " broken samples were left out");
        }
        return status;
      }
      if (absl::IsCancelled(status)) return status;
      const int64_t limit = dataset()->limit_;
      if (skipped_ >= limit)
        return absl::Status(status.code(),
                            plain_message(status) +
                                (limit == 0 ? "; max_broken_samples lets so many be left out"
                                            : "; " + std::to_string(limit) +
                                                  " broken samples were left out before, which is max_broken_samples"));
      ++skipped_;
      log_warning("input: broken sample " + std::to_string(skipped_) + " of at most " + std::to_string(limit) +
                  " is left out: " + plain_message(status));
    }
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<tf::data::IteratorBase> input_;
  int64_t skipped_ = 0;
  bool told_ = false;
};

std::unique_ptr<tf::data::IteratorBase> SkipBrokenDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxSkipBroken"});
}

class SkipBrokenOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit SkipBrokenOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input, tf::data::DatasetBase** output) override {
    int64_t limit = 0;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "limit", &limit));
    *output = new SkipBrokenDataset(context, input, attrs_, limit);
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxSkipBrokenDataset").Device(tf::DEVICE_CPU), SkipBrokenOp);

}  // namespace
}  // namespace mox::data
