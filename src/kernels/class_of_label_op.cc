// MoxClassOfLabel: the class of a label, or an error that names the sample, its label and what was expected.
#include "data/label_classes.h"
#include "data/labels_file.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxClassOfLabel")
    .Input("label: int64")
    .Input("name: string")
    .Output("class: int64")
    .Attr("sample: string")
    .Attr("label_names: list(string)")
    .Attr("class_names: list(string)")
    .Attr("labels_offset: int")
    .Attr("num_labels: int")
    .Attr("by_name: bool")
    .Attr("classes: list(int)")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class ClassOfLabelOp : public tf::OpKernel {
 public:
  explicit ClassOfLabelOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("sample", &sample_));
    OP_REQUIRES_OK(context, context->GetAttr("label_names", &map_.labels));
    OP_REQUIRES_OK(context, context->GetAttr("class_names", &map_.names));
    OP_REQUIRES_OK(context, context->GetAttr("labels_offset", &map_.labels_offset));
    OP_REQUIRES_OK(context, context->GetAttr("num_labels", &map_.num_labels));
    OP_REQUIRES_OK(context, context->GetAttr("by_name", &map_.by_name));
    OP_REQUIRES_OK(context, context->GetAttr("classes", &map_.classes));
    OP_REQUIRES(context, !map_.by_name || std::ssize(map_.classes) == map_.num_labels,
                absl::InvalidArgumentError("every label needs a class, or -1"));
  }

  void Compute(tf::OpKernelContext* context) override {
    const auto labels = context->input(0).flat<int64_t>();
    const auto names = context->input(1).flat<tf::tstring>();
    tf::Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &output));
    for (int64_t i = 0; i < labels.size(); ++i) {
      const int64_t its_class = map_.class_of(labels(i));
      OP_REQUIRES(context, its_class >= 0,
                  absl::DataLossError(sample_ + std::string(names(names.size() > i ? i : 0)) + no_class(labels(i))));
      output->flat<int64_t>()(i) = its_class;
    }
  }

 private:
  std::string no_class(int64_t label) const {
    const bool named = label >= 0 && label < std::ssize(map_.labels);
    std::string text = ": label " + std::to_string(label);
    if (named) text += ", class '" + map_.labels[static_cast<size_t>(label)] + "'";
    if (map_.by_name && named)
      return text + ", is none of the run's classes: " + quoted_names(map_.names) +
             "; evaluate without it, or train with it";
    const int64_t lowest = map_.by_name ? 0 : map_.labels_offset;
    text += ", expected " + std::to_string(lowest) + " to " + std::to_string(map_.num_labels - 1);
    if (lowest > 0) text += ": labels_offset is " + std::to_string(lowest) + ", so that smaller labels are no classes";
    return text;
  }

  std::string sample_;  // what stands before the name
  LabelMap map_;
};

REGISTER_KERNEL_BUILDER(Name("MoxClassOfLabel").Device(tf::DEVICE_CPU), ClassOfLabelOp);

}  // namespace
}  // namespace mox::data
