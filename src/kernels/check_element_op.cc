// MoxCheckElement: passes on what a batch is made of, or says that it has no values: TensorFlow's kernels that batch
// and unbatch follow the pointer to such a tensor's memory, which is null.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;

// `name`: of the sample, or of the first of a batch; may be empty.
REGISTER_OP("MoxCheckElement")
    .Input("element: T")
    .Input("name: string")
    .Output("checked: T")
    .Attr("T: type")
    .Attr("what: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class CheckElementOp : public tf::OpKernel {
 public:
  explicit CheckElementOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("what", &what_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& element = context->input(0);
    OP_REQUIRES(context, element.NumElements() > 0, absl::InvalidArgumentError(message(context)));
    context->set_output(0, element);
  }

 private:
  std::string message(tf::OpKernelContext* context) const {
    const tf::Tensor& names = context->input(1);
    const std::string name = names.NumElements() > 0 ? std::string(names.flat<tf::tstring>()(0)) : "";
    return (name.empty() ? "" : name + ": ") + what_ + " has shape " + context->input(0).shape().DebugString() +
           ", so no values; expected at least one, or no batches: leave out batch_size or such samples";
  }

  std::string what_;
};

REGISTER_KERNEL_BUILDER(Name("MoxCheckElement").Device(tf::DEVICE_CPU), CheckElementOp);

}  // namespace
}  // namespace mox::kernels
