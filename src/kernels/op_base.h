// What the project's own dataset ops share.
#pragma once

#include <memory>
#include <string>
#include <vector>

// GCC 12 sees a member in it that is not set, and tells it though the header is the system's.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include "tensorflow/core/framework/dataset.h"
#pragma GCC diagnostic pop

namespace mox::data {

// A dataset of ours. The subclass makes the iterator.
class PipelineDataset : public tensorflow::data::DatasetBase {
 public:
  PipelineDataset(tensorflow::OpKernelContext* context, tensorflow::DataTypeVector types,
                  std::vector<tensorflow::PartialTensorShape> shapes)
      : DatasetBase(tensorflow::data::DatasetContext(context)), types_(std::move(types)), shapes_(std::move(shapes)) {}

  const tensorflow::DataTypeVector& output_dtypes() const override { return types_; }
  const std::vector<tensorflow::PartialTensorShape>& output_shapes() const override { return shapes_; }
  absl::Status InputDatasets(std::vector<const DatasetBase*>*) const override { return absl::OkStatus(); }
  absl::Status CheckExternalState() const override { return absl::OkStatus(); }

 protected:
  // Our pipelines are not rewritten: TensorFlow leaves out datasets that say so.
  absl::Status AsGraphDefInternal(tensorflow::data::SerializationContext*, DatasetGraphDefBuilder*,
                                  tensorflow::Node**) const override {
    return absl::UnimplementedError(DebugString() + " is not serialized");
  }

 private:
  tensorflow::DataTypeVector types_;
  std::vector<tensorflow::PartialTensorShape> shapes_;
};

// One made of another dataset; keeps it alive.
class UnaryDataset : public PipelineDataset {
 public:
  UnaryDataset(tensorflow::OpKernelContext* context, const DatasetBase* input, tensorflow::DataTypeVector types,
               std::vector<tensorflow::PartialTensorShape> shapes)
      : PipelineDataset(context, std::move(types), std::move(shapes)), input_(input) {
    input_->Ref();
  }
  ~UnaryDataset() override { input_->Unref(); }

  absl::Status InputDatasets(std::vector<const DatasetBase*>* inputs) const override {
    inputs->push_back(input_);
    return absl::OkStatus();
  }
  const DatasetBase* input() const { return input_; }

 private:
  const DatasetBase* const input_;
};

// An iterator of such a dataset. Its state is not saved: checkpoints keep how many samples the training took, and a
// resumed one makes its iterators anew from there (input/input_position.h).
template <class DatasetType>
class PipelineIterator : public tensorflow::data::DatasetIterator<DatasetType> {
 public:
  using tensorflow::data::DatasetIterator<DatasetType>::DatasetIterator;

 protected:
  absl::Status SaveInternal(tensorflow::data::SerializationContext*, tensorflow::data::IteratorStateWriter*) override {
    return absl::UnimplementedError("the position in " + this->dataset()->DebugString() + " cannot be saved");
  }
  absl::Status RestoreInternal(tensorflow::data::IteratorContext*, tensorflow::data::IteratorStateReader*) override {
    return absl::UnimplementedError("the position in " + this->dataset()->DebugString() + " cannot be restored");
  }
};

// The kernel's attrs output_types and output_shapes, checked when the kernel is made.
struct OutputAttrs {
  explicit OutputAttrs(tensorflow::OpKernelConstruction* context) {
    OP_REQUIRES_OK(context, context->GetAttr("output_types", &types));
    OP_REQUIRES_OK(context, context->GetAttr("output_shapes", &shapes));
  }
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};

}  // namespace mox::data
