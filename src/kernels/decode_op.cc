// MoxDecodeImage: decodes, and resizes where a size is given; an error names the sample.
#include "data/decode_image.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxDecodeImage")
    .Input("contents: string")
    .Input("name: string")
    .Output("image: uint8")
    .Attr("channels: int = 3")
    .Attr("height: int = 0")
    .Attr("width: int = 0")
    .Attr("apply_exif: bool = false")
    .Attr("alpha: {'drop', 'white', 'black'} = 'drop'")
    .SetShapeFn([](tf::shape_inference::InferenceContext* context) {
      int64_t channels = 3, height = 0, width = 0;
      TF_RETURN_IF_ERROR(context->GetAttr("channels", &channels));
      TF_RETURN_IF_ERROR(context->GetAttr("height", &height));
      TF_RETURN_IF_ERROR(context->GetAttr("width", &width));
      const auto dim = [&](int64_t size) { return size > 0 ? context->MakeDim(size) : context->UnknownDim(); };
      context->set_output(0, context->MakeShape({dim(height), dim(width), dim(channels)}));
      return absl::OkStatus();
    });

class DecodeImageOp : public tf::OpKernel {
 public:
  explicit DecodeImageOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("channels", &options_.channels));
    OP_REQUIRES_OK(context, context->GetAttr("height", &options_.height));
    OP_REQUIRES_OK(context, context->GetAttr("width", &options_.width));
    OP_REQUIRES_OK(context, context->GetAttr("apply_exif", &options_.apply_exif));
    std::string alpha;
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha));
    options_.background = background_of(alpha);
  }

  void Compute(tf::OpKernelContext* context) override {
    OP_REQUIRES(context, tf::TensorShapeUtils::IsScalar(context->input(0).shape()),
                absl::InvalidArgumentError("MoxDecodeImage takes one image; map over a batch of them"));
    const auto& content = context->input(0).scalar<tf::tstring>()();
    tf::Tensor* image = nullptr;
    absl::Status allocated;
    const auto status = decode_image({content.data(), content.size()}, options_, [&](int64_t height, int64_t width) {
      allocated = context->allocate_output(0, {height, width, options_.channels}, &image);
      return allocated.ok() ? image->flat<uint8_t>().data() : nullptr;
    });
    OP_REQUIRES_OK(context, allocated);
    OP_REQUIRES(context, status.ok(),
                absl::Status(status.code(), "image " + std::string(context->input(1).flat<tf::tstring>()(0)) + ": " +
                                                std::string(status.message())));
  }

 private:
  DecodeOptions options_;
};

REGISTER_KERNEL_BUILDER(Name("MoxDecodeImage").Device(tf::DEVICE_CPU), DecodeImageOp);

}  // namespace
}  // namespace mox::data
