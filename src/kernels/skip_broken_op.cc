// MoxSkipBrokenDataset: leaves out elements that fail, names each in the log, and stops after too many.
//
// What is counted are different samples: a broken file of a later epoch, or of the next evaluation, is the same one.
// The places of a pipeline that can meet one share a counter. With must_deliver, an end without any element is an
// error: epochs of nothing would be repeated for ever.
#include <set>

#include "absl/strings/match.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/printable.h"
#include "kernels/op_base.h"
#include "moxing/log.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/resource_mgr.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;
using tf::data::IteratorContext;

REGISTER_OP("MoxSkipBrokenDataset")
    .Input("input_dataset: variant")
    .Input("limit: int64")
    .Input("counter: string")
    .Input("must_deliver: bool")
    .Output("handle: variant")
    .Attr("output_types: list(type) >= 1")
    .Attr("output_shapes: list(shape) >= 1")
    .SetShapeFn(tf::shape_inference::ScalarShape);

// The messages of the samples that were left out; they have the path.
class BrokenSamples : public tf::ResourceBase {
 public:
  std::string DebugString() const override { return "BrokenSamples"; }

  enum class Answer { kKnown, kNew, kTooMany };
  Answer add(const std::string& message, int64_t limit) {
    MutexLock lock(mutex_);
    if (messages_.count(message)) return Answer::kKnown;
    if (static_cast<int64_t>(messages_.size()) >= limit) return Answer::kTooMany;
    messages_.insert(message);
    return Answer::kNew;
  }
  int64_t count() const {
    MutexLock lock(mutex_);
    return static_cast<int64_t>(messages_.size());
  }

 private:
  mutable Mutex mutex_;
  std::set<std::string> messages_ MOX_GUARDED_BY(mutex_);
};

class SkipBrokenDataset : public UnaryDataset {
 public:
  SkipBrokenDataset(tf::OpKernelContext* context, const DatasetBase* input, const OutputAttrs& attrs, int64_t limit,
                    bool must_deliver, tf::core::RefCountPtr<BrokenSamples> broken)
      : UnaryDataset(context, input, attrs.types, attrs.shapes),
        limit_(limit),
        must_deliver_(must_deliver),
        broken_(std::move(broken)) {}

  std::string DebugString() const override { return "MoxSkipBrokenDataset"; }

 protected:
  std::unique_ptr<tf::data::IteratorBase> MakeIteratorInternal(const std::string& prefix) const override;

 private:
  class Iterator;
  const int64_t limit_;
  const bool must_deliver_;
  const tf::core::RefCountPtr<BrokenSamples> broken_;
};

constexpr std::string_view kNoSample = "input: an epoch has no sample for this worker";

// The kernels' own words: TensorFlow puts the names of datasets before them and of graph nodes behind.
std::string plain_message(const absl::Status& status) {
  std::string message(status.message());
  constexpr std::string_view kBegin = "Error in user-defined function passed to",
                             kIterator = "transformation with iterator: ";
  while (message.rfind(kBegin, 0) == 0) {
    const size_t iterator = message.find(kIterator);
    const size_t end = iterator == std::string::npos ? iterator : message.find(": ", iterator + kIterator.size());
    if (end == std::string::npos) break;
    message.erase(0, end + 2);
  }
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
    MutexLock lock(mutex_);
    for (;;) {
      out->clear();
      *end = false;
      auto status = input_->GetNext(context, out, end);
      // To whoever runs the pipeline OutOfRange is the end of the data; a failure it is here.
      if (absl::IsOutOfRange(status)) status = absl::DataLossError(status.message());
      if (status.ok() && *end && skipped_ > 0 && !told_) {
        told_ = true;
        log_warning("input: broken samples were left out " + std::to_string(skipped_) + " times");
      }
      if (status.ok() && *end && dataset()->must_deliver_ && !delivered_)
        return absl::FailedPreconditionError(
            "input: an epoch has no sample for this worker: the files that it reads are empty");
      delivered_ = delivered_ || status.ok();
      if (status.ok() || absl::IsCancelled(status)) return status;
      if (absl::StrContains(status.message(), kNoSample)) return status;  // nothing that leaving out could help
      if (const auto stop = leave_out(status); !stop.ok()) return stop;
    }
  }

 private:
  // Ok, or the error that ends the pipeline.
  absl::Status leave_out(const absl::Status& status) MOX_REQUIRES(mutex_) {
    const int64_t limit = dataset()->limit_;
    const std::string message = printable(plain_message(status));  // names of files are bytes
    switch (dataset()->broken_->add(message, limit)) {
      case BrokenSamples::Answer::kTooMany:
        // Another place of the pipeline may have said it already.
        if (message.find("max_broken_samples") != std::string::npos) return absl::Status(status.code(), message);
        return absl::Status(status.code(), message + (limit == 0 ? "; max_broken_samples lets so many be left out"
                                                                 : "; " + std::to_string(limit) +
                                                                       " broken samples were left out before, which is "
                                                                       "max_broken_samples"));
      case BrokenSamples::Answer::kNew:
        log_warning("input: broken sample " + std::to_string(dataset()->broken_->count()) +
                    (limit < kMaxSamples ? " of at most " + std::to_string(limit) : std::string()) +
                    " is left out: " + message);
        break;
      case BrokenSamples::Answer::kKnown:
        break;
    }
    ++skipped_;
    return absl::OkStatus();
  }

  Mutex mutex_;
  std::unique_ptr<tf::data::IteratorBase> input_ MOX_PT_GUARDED_BY(mutex_);
  int64_t skipped_ MOX_GUARDED_BY(mutex_) = 0;
  bool delivered_ MOX_GUARDED_BY(mutex_) = false;
  bool told_ MOX_GUARDED_BY(mutex_) = false;
};

std::unique_ptr<tf::data::IteratorBase> SkipBrokenDataset::MakeIteratorInternal(const std::string& prefix) const {
  return std::make_unique<Iterator>(Iterator::Params{this, prefix + "::MoxSkipBroken"});
}

class SkipBrokenOp : public tf::data::UnaryDatasetOpKernel {
 public:
  explicit SkipBrokenOp(tf::OpKernelConstruction* context) : UnaryDatasetOpKernel(context), attrs_(context) {}

 protected:
  void MakeDataset(tf::OpKernelContext* context, tf::data::DatasetBase* input,
                   tf::data::DatasetBase** output) override {
    int64_t limit = 0;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "limit", &limit));
    bool must_deliver = false;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "must_deliver", &must_deliver));
    tf::tstring counter;
    OP_REQUIRES_OK(context, tf::data::ParseScalarArgument(context, "counter", &counter));
    BrokenSamples* broken = nullptr;
    OP_REQUIRES_OK(context, context->resource_manager()->LookupOrCreate<BrokenSamples>("mox", counter, &broken,
                                                                                       [](BrokenSamples** made) {
                                                                                         *made = new BrokenSamples;
                                                                                         return absl::OkStatus();
                                                                                       }));
    *output = new SkipBrokenDataset(context, input, attrs_, limit, must_deliver,
                                    tf::core::RefCountPtr<BrokenSamples>(broken));
  }

 private:
  OutputAttrs attrs_;
};

REGISTER_KERNEL_BUILDER(Name("MoxSkipBrokenDataset").Device(tf::DEVICE_CPU), SkipBrokenOp);

}  // namespace
}  // namespace mox::data
