// MoxCheckLabel: passes a label on, or names the sample whose label is out of range.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxCheckLabel")
    .Input("label: int64")
    .Input("name: string")
    .Output("checked: int64")
    .Attr("num_classes: int >= 1")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class CheckLabelOp : public tf::OpKernel {
 public:
  explicit CheckLabelOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("num_classes", &num_classes_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const auto labels = context->input(0).flat<int64_t>();
    const auto names = context->input(1).flat<tf::tstring>();
    for (int64_t i = 0; i < labels.size(); ++i)
      OP_REQUIRES(
          context, labels(i) >= 0 && labels(i) < num_classes_,
          absl::DataLossError("image " + std::string(names(names.size() > i ? i : 0)) + ": label " +
                              std::to_string(labels(i)) + ", expected 0 to " + std::to_string(num_classes_ - 1)));
    context->set_output(0, context->input(0));
  }

 private:
  int64_t num_classes_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("MoxCheckLabel").Device(tf::DEVICE_CPU), CheckLabelOp);

}  // namespace
}  // namespace mox::data
