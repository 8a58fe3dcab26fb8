// MoxClassOfLabel: the class of a label by a table, or an error that names the sample, its label and what was expected.
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
    .Input("classes: int64")
    .Input("label_names: string")
    .Input("class_names: string")
    .Output("class: int64")
    .Attr("sample: string")
    .Attr("labels_offset: int")
    .Attr("by_name: bool")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class ClassOfLabelOp : public tf::OpKernel {
 public:
  explicit ClassOfLabelOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("sample", &sample_));
    OP_REQUIRES_OK(context, context->GetAttr("labels_offset", &labels_offset_));
    OP_REQUIRES_OK(context, context->GetAttr("by_name", &by_name_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const auto labels = context->input(0).flat<int64_t>(), classes = context->input(2).flat<int64_t>();
    tf::Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &output));
    for (int64_t i = 0; i < labels.size(); ++i) {
      const int64_t label = labels(i);
      const bool known = label >= 0 && label < classes.size() && classes(label) >= 0;
      OP_REQUIRES(context, known, no_class(context, i, label));
      output->flat<int64_t>()(i) = classes(label);
    }
  }

 private:
  absl::Status no_class(tf::OpKernelContext* context, int64_t i, int64_t label) const {
    const auto names = context->input(1).flat<tf::tstring>(), label_names = context->input(3).flat<tf::tstring>();
    const bool named = label >= 0 && label < label_names.size();
    std::string text = sample_ + std::string(names(names.size() > i ? i : 0)) + ": label " + std::to_string(label);
    if (named) text += ", class '" + std::string(label_names(label)) + "'";
    if (by_name_ && named) {
      const auto class_names = context->input(4).flat<tf::tstring>();
      std::vector<std::string> run(class_names.data(), class_names.data() + class_names.size());
      return absl::DataLossError(text + ", is none of the run's classes: " + quoted_names(run) +
                                 "; evaluate without it, or train with it");
    }
    const int64_t lowest = by_name_ ? 0 : labels_offset_;
    text += ", expected " + std::to_string(lowest) + " to " + std::to_string(context->input(2).NumElements() - 1);
    if (lowest > 0)
      text += ": labels_offset is " + std::to_string(labels_offset_) + ", so that smaller labels are no classes";
    return absl::DataLossError(text);
  }

  std::string sample_;
  int64_t labels_offset_ = 0;
  bool by_name_ = false;
};

REGISTER_KERNEL_BUILDER(Name("MoxClassOfLabel").Device(tf::DEVICE_CPU), ClassOfLabelOp);

}  // namespace
}  // namespace mox::data
