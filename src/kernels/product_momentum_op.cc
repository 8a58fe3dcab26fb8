// An update by momentum whose gradient is a product of matrices, a fully connected layer's: block by block, so that the
// gradient is never written as a whole. passes/product_updates.h puts it in.
#include <algorithm>

#include "convolutions/block_product.h"
#include "kernels/convolution_op.h"
#include "kernels/momentum_op.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

// ResourceApplyMomentum, or with a decay ResourceApplyDecayedMomentum, with the gradient left^T * right, of [depth,
// rows] and [depth, columns]. The variable has as many numbers, which lie in the same order, whatever its shape.
REGISTER_OP("ResourceApplyProductMomentum")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: float")
    .Input("left: float")
    .Input("right: float")
    .Input("momentum: float")
    .Input("decay: num_decay * float")
    .Attr("num_decay: int >= 0 = 0")
    .Attr("use_nesterov: bool = false")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::NoOutputs);

class ProductMomentumOp : public MomentumBase {
 public:
  explicit ProductMomentumOp(tf::OpKernelConstruction* context) : MomentumBase(context) {
    OP_REQUIRES_OK(context, context->GetAttr("num_decay", &num_decay_));
    OP_REQUIRES(context, num_decay_ <= 1,
                absl::InvalidArgumentError(fmt::format("num_decay is 0 or 1, not {}", num_decay_)));
    OP_REQUIRES(context, convolutions::convolution_loops() != nullptr,
                absl::UnimplementedError(name() + ": this processor has neither AVX2 nor AVX-512"));
  }

 protected:
  absl::Status check(tf::OpKernelContext* context, const tf::Tensor& value, const char* which) const override {
    const tf::TensorShape &left = context->input(3).shape(), &right = context->input(4).shape(), &of = value.shape();
    if (left.dims() != 2 || right.dims() != 2 || left.dim_size(0) != right.dim_size(0))
      return absl::InvalidArgumentError(
          fmt::format("{}: expected [depth, rows] and [depth, columns] to multiply, got {} and {}", name(),
                      left.DebugString(), right.DebugString()));
    if (value.dtype() != tf::DT_FLOAT || of.num_elements() != left.dim_size(1) * right.dim_size(1))
      return absl::InvalidArgumentError(fmt::format("{}: {} is {} {}, the gradient [{},{}]", name(), which,
                                                    tf::DataTypeString(value.dtype()), of.DebugString(),
                                                    left.dim_size(1), right.dim_size(1)));
    TF_RETURN_IF_ERROR(check_scalars(context, {2, 5}));
    return num_decay_ > 0 ? check_scalars(context, {6}) : absl::OkStatus();
  }

  void apply(tf::OpKernelContext* context, MomentumUpdate update) override {
    const tf::Tensor &left = context->input(3), &right = context->input(4);
    update.rate = number(context, 2);
    update.momentum = number(context, 5);
    update.decay = num_decay_ > 0 ? number(context, 6) : 0;
    const convolutions::BlockProduct product{.rows = left.dim_size(1),
                                             .columns = right.dim_size(1),
                                             .depth = left.dim_size(0),
                                             .left = left.flat<float>().data(),
                                             .right = right.flat<float>().data(),
                                             .reads = {update.variable, update.accumulation}};
    with_work(context, [&](auto* work) {
      convolutions::multiply_by_blocks(
          product,
          [&](const convolutions::ProductBlock& block) {
            for (int64_t r = 0; r < block.rows; ++r) {
              MomentumUpdate row = update.from((block.row + r) * product.columns + block.column);
              row.gradient = block.numbers + r * block.numbers_row;
              apply_momentum(row, 0, block.columns);
            }
          },
          work->resources());
    });
  }

 private:
  int num_decay_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("ResourceApplyProductMomentum").Device(tf::DEVICE_CPU), ProductMomentumOp);

}  // namespace
}  // namespace mox::kernels
