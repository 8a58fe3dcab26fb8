// MoxDecodeAugment: an image file to what a network sees, as decoding it and a family of preprocessing do one after the
// other. MoxImageShape: the shape that decoding it would give. passes/fuse_augment.cc puts both into graphs; an error
// names the sample.
//
// Inputs of MoxDecodeAugment, when training. vgg: `integers` are the shorter side, two numbers from the whole range, of
// which the crop's corner is the rest, and, with a flip, whether it is one. inception: `integers` are begin and size of
// the box, three each, and the flip; `floats` are brightness and saturation. Otherwise there are none.
#include "data/augment_image.h"
#include "data/decode_image.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxDecodeAugment")
    .Input("contents: string")
    .Input("name: string")
    .Input("integers: num_integers * int32")
    .Input("floats: num_floats * float")
    .Output("image: float")
    .Attr("num_integers: int >= 0")
    .Attr("num_floats: int >= 0")
    .Attr("family: string")
    .Attr("training: bool")
    .Attr("height: int >= 1")
    .Attr("width: int >= 1")
    .Attr("side: int = 0")
    .Attr("values: list(float)")
    .Attr("apply_exif: bool = false")
    .Attr("alpha: {'drop', 'white', 'black'} = 'drop'")
    .SetShapeFn([](tf::shape_inference::InferenceContext* context) {
      int64_t height = 0, width = 0;
      TF_RETURN_IF_ERROR(context->GetAttr("height", &height));
      TF_RETURN_IF_ERROR(context->GetAttr("width", &width));
      context->set_output(0, context->MakeShape({height, width, 3}));
      return absl::OkStatus();
    });

REGISTER_OP("MoxImageShape")
    .Input("contents: string")
    .Input("name: string")
    .Output("shape: int32")
    .Attr("apply_exif: bool = false")
    .SetShapeFn([](tf::shape_inference::InferenceContext* context) {
      context->set_output(0, context->Vector(3));
      return absl::OkStatus();
    });

absl::Status of_sample(tf::OpKernelContext* context, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), "image " + std::string(context->input(1).flat<tf::tstring>()(0)) + ": " +
                                         std::string(status.message()));
}

std::string_view content_of(tf::OpKernelContext* context) {
  const auto& content = context->input(0).scalar<tf::tstring>()();
  return {content.data(), content.size()};
}

absl::Status check_one_image(tf::OpKernelContext* context) {
  if (tf::TensorShapeUtils::IsScalar(context->input(0).shape()) && context->input(1).NumElements() > 0)
    return absl::OkStatus();
  return absl::InvalidArgumentError("MoxDecodeAugment and MoxImageShape take one image; map over a batch of them");
}

class DecodeAugmentOp : public tf::OpKernel {
 public:
  explicit DecodeAugmentOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    std::string family;
    OP_REQUIRES_OK(context, context->GetAttr("family", &family));
    OP_REQUIRES_OK(context, context->GetAttr("training", &request_.training));
    OP_REQUIRES_OK(context, context->GetAttr("height", &request_.height));
    OP_REQUIRES_OK(context, context->GetAttr("width", &request_.width));
    OP_REQUIRES_OK(context, context->GetAttr("side", &request_.side));
    OP_REQUIRES_OK(context, context->GetAttr("apply_exif", &request_.apply_exif));
    std::string alpha;
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha));
    request_.background = background_of(alpha);
    OP_REQUIRES_OK(context, context->GetAttr("num_integers", &integers_));
    OP_REQUIRES_OK(context, context->GetAttr("num_floats", &floats_));
    const bool known = augment_family(family, &request_.family), vgg = request_.family == AugmentFamily::kVgg;
    std::vector<float> values;
    OP_REQUIRES_OK(context, context->GetAttr("values", &values));
    // Of integers and floats; a flip more or less.
    const int needed = !request_.training ? 0 : vgg ? 3 : 2, floats = request_.training && !vgg ? 2 : 0;
    flips_ = request_.training && integers_ == needed + 1;
    OP_REQUIRES(context,
                known && (integers_ == needed || flips_) && floats_ == floats && values.size() == (vgg ? 3 : 1),
                absl::InvalidArgumentError("MoxDecodeAugment: no such inputs and values for family '" + family + "'"));
    if (vgg)
      std::copy(values.begin(), values.end(), request_.mean);
    else
      request_.central_fraction = values[0];
  }

  void Compute(tf::OpKernelContext* context) override {
    OP_REQUIRES_OK(context, check_one_image(context));
    AugmentRequest request = request_;
    if (request.training) OP_REQUIRES_OK(context, take_draws(context, &request));
    tf::Tensor* image = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {request.height, request.width, 3}, &image));
    OP_REQUIRES_OK(context,
                   of_sample(context, augment_image(content_of(context), request, image->flat<float>().data())));
  }

 private:
  absl::Status take_draws(tf::OpKernelContext* context, AugmentRequest* request) const {
    constexpr int kFirst = 2;
    const auto integer = [&](int i) { return context->input(kFirst + i).flat<int32_t>()(0); };
    const bool vgg = request->family == AugmentFamily::kVgg;
    for (int i = 0; i < integers_; ++i)
      if (context->input(kFirst + i).NumElements() < (!vgg && i < 2 ? 3 : 1))
        return absl::InvalidArgumentError("MoxDecodeAugment: too few numbers in integers[" + std::to_string(i) + "]");
    for (int i = 0; i < floats_; ++i)
      if (context->input(kFirst + integers_ + i).NumElements() < 1)
        return absl::InvalidArgumentError("MoxDecodeAugment: floats[" + std::to_string(i) + "] is empty");
    request->flip = flips_ && integer(integers_ - 1) == 1;
    if (vgg) {
      // From the least int32 on.
      const auto above_least = [](int32_t drawn) { return static_cast<uint32_t>(drawn) ^ 0x80000000u; };
      request->side = integer(0);
      request->top = above_least(integer(1));
      request->left = above_least(integer(2));
      return absl::OkStatus();
    }
    for (int i = 0; i < 2; ++i) {
      request->box_begin[i] = context->input(kFirst).flat<int32_t>()(i);
      request->box_size[i] = context->input(kFirst + 1).flat<int32_t>()(i);
    }
    request->brightness = context->input(kFirst + integers_).flat<float>()(0);
    request->saturation = context->input(kFirst + integers_ + 1).flat<float>()(0);
    return absl::OkStatus();
  }

  AugmentRequest request_;
  int integers_ = 0, floats_ = 0;
  bool flips_ = false;
};

class ImageShapeOp : public tf::OpKernel {
 public:
  explicit ImageShapeOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("apply_exif", &apply_exif_));
  }

  void Compute(tf::OpKernelContext* context) override {
    OP_REQUIRES_OK(context, check_one_image(context));
    int64_t height = 0, width = 0;
    OP_REQUIRES_OK(context, of_sample(context, image_size(content_of(context), apply_exif_, &height, &width)));
    tf::Tensor* shape = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {3}, &shape));
    shape->flat<int32_t>()(0) = static_cast<int32_t>(height);
    shape->flat<int32_t>()(1) = static_cast<int32_t>(width);
    shape->flat<int32_t>()(2) = 3;
  }

 private:
  bool apply_exif_ = false;
};

REGISTER_KERNEL_BUILDER(Name("MoxDecodeAugment").Device(tf::DEVICE_CPU), DecodeAugmentOp);
REGISTER_KERNEL_BUILDER(Name("MoxImageShape").Device(tf::DEVICE_CPU), ImageShapeOp);

}  // namespace
}  // namespace mox::data
