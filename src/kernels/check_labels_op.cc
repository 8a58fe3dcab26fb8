// MoxCheckClasses and MoxCheckClassRows: pass labels on, or name the one that is no class.
#include <fmt/format.h>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/register_types.h"

namespace mox {
namespace {

namespace tf = tensorflow;

constexpr char kAdvice[] =
    "correct the labels (a labels_offset?) or the number of classes; to leave samples out, multiply their losses by a "
    "weight of 0";

REGISTER_OP("MoxCheckClasses")
    .Input("labels: T")
    .Input("depth: int32")
    .Output("checked: T")
    .Attr("T: {uint8, int8, int32, int64}")
    .Attr("node: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

REGISTER_OP("MoxCheckClassRows")
    .Input("labels: T")
    .Output("checked: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("node: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

// Both pass their first input on.
class CheckLabelsOp : public tf::OpKernel {
 public:
  explicit CheckLabelsOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("node", &node_));
  }

 protected:
  std::string node_;
};

template <typename T>
class CheckClassesOp : public CheckLabelsOp {
 public:
  using CheckLabelsOp::CheckLabelsOp;

  void Compute(tf::OpKernelContext* context) override {
    const auto labels = context->input(0).flat<T>();
    const auto classes = static_cast<int64_t>(context->input(1).scalar<int32_t>()());
    for (int64_t i = 0; i < labels.size(); ++i) {
      const auto label =
          static_cast<int64_t>(labels(i));  // NOLINT(bugprone-signed-char-misuse): int8 labels have signs
      OP_REQUIRES(context, label >= 0 && label < classes,
                  absl::InvalidArgumentError(fmt::format(
                      "label {} of sample {} of the batch is none of the classes, expected 0 to {} ({}); {}", label, i,
                      classes - 1, node_, kAdvice)));
    }
    context->set_output(0, context->input(0));
  }
};

template <typename T>
class CheckClassRowsOp : public CheckLabelsOp {
 public:
  using CheckLabelsOp::CheckLabelsOp;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& input = context->input(0);
    const auto values = input.flat<T>();
    const int64_t rows = input.dims() > 0 ? input.dim_size(0) : 0, columns = rows > 0 ? values.size() / rows : 0;
    for (int64_t i = 0; i < rows && columns > 0; ++i) {
      bool any = false;
      for (int64_t j = 0; j < columns && !any; ++j) any = static_cast<double>(values(i * columns + j)) != 0;
      OP_REQUIRES(context, any,
                  absl::InvalidArgumentError(fmt::format(
                      "the labels of sample {} of the batch are {} zeros, as one_hot makes of a label that is none of "
                      "the classes 0 to {} ({}); {}",
                      i, columns, columns - 1, node_, kAdvice)));
    }
    context->set_output(0, input);
  }
};

#define REGISTER_CLASSES(T) \
  REGISTER_KERNEL_BUILDER(Name("MoxCheckClasses").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), CheckClassesOp<T>);
REGISTER_CLASSES(uint8_t)
REGISTER_CLASSES(int8_t)
REGISTER_CLASSES(int32_t)
REGISTER_CLASSES(int64_t)
#undef REGISTER_CLASSES

#define REGISTER_ROWS(T) \
  REGISTER_KERNEL_BUILDER(Name("MoxCheckClassRows").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), CheckClassRowsOp<T>);
REGISTER_ROWS(Eigen::half)
REGISTER_ROWS(tf::bfloat16)
REGISTER_ROWS(float)
REGISTER_ROWS(double)
#undef REGISTER_ROWS

}  // namespace
}  // namespace mox
