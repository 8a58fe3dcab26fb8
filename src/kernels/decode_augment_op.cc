// MoxDecodeAugment: an image file to what a network sees, as decoding it and a family of preprocessing do one after the
// other; or a batch of files, where all inputs have a row for each. MoxImageShape: the shape that decoding it would
// give. passes/fuse_augment.cc puts both into graphs, and passes/augment_batches.cc makes batches; an error names the
// sample, of several the first.
//
// Inputs of MoxDecodeAugment, when training. vgg: `integers` are the shorter side, two numbers from the whole range, of
// which the crop's corner is the rest, and, with a flip, whether it is one. inception: `integers` are begin and size of
// the box, three each, and the flip; `floats` are brightness and saturation. Otherwise there are none.
#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <thread>

#include "base/mutex.h"
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
      tf::shape_inference::ShapeHandle image = context->MakeShape({height, width, 3});
      if (!context->RankKnown(context->input(0)))
        image = context->UnknownShape();
      else
        TF_RETURN_IF_ERROR(context->Concatenate(context->input(0), image, &image));
      context->set_output(0, image);
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

absl::Status of_sample(std::string_view name, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), "image " + std::string(name) + ": " + std::string(status.message()));
}

std::string_view view(const tf::tstring& text) { return {text.data(), text.size()}; }

// What runs once for each item of a batch, in the thread that asks and in those that come to help. These may come when
// all is done, and find nothing.
class Items {
 public:
  Items(int64_t count, std::function<absl::Status(int64_t)> body) : count_(count), body_(std::move(body)) {}

  void work() {
    for (int64_t item = next_++; item < count_; item = next_++) {
      const absl::Status status = body_(item);
      MutexLock lock(mutex_);
      if (!status.ok() && item < failed_) failed_ = item, status_ = status;
      if (++done_ == count_) all_done_.notify_all();
    }
  }

  // The error of the first item that has one.
  absl::Status wait() {
    MutexLock lock(mutex_);
    all_done_.wait(lock, [this]() MOX_REQUIRES(mutex_) { return done_ == count_; });
    return status_;
  }

 private:
  const int64_t count_;
  const std::function<absl::Status(int64_t)> body_;  // not called after wait()
  std::atomic<int64_t> next_{0};
  Mutex mutex_;
  CondVar all_done_;
  int64_t done_ MOX_GUARDED_BY(mutex_) = 0;
  int64_t failed_ MOX_GUARDED_BY(mutex_) = std::numeric_limits<int64_t>::max();
  absl::Status status_ MOX_GUARDED_BY(mutex_);
};

absl::Status for_each(tf::OpKernelContext* context, int64_t count, const std::function<absl::Status(int64_t)>& body) {
  if (count == 1) return body(0);
  const auto items = std::make_shared<Items>(count, body);
  const int64_t threads = std::min<int64_t>(count, std::thread::hardware_concurrency());
  for (int64_t i = 1; i < threads && context->runner(); ++i) (*context->runner())([items] { items->work(); });
  items->work();
  return items->wait();
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
    const tf::TensorShape& files = context->input(0).shape();
    const int64_t count = files.num_elements();
    OP_REQUIRES_OK(context, check_inputs(context, count));
    tf::TensorShape shape = files;
    shape.AppendShape({request_.height, request_.width, 3});
    tf::Tensor* images = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &images));
    const auto contents = context->input(0).flat<tf::tstring>(), names = context->input(1).flat<tf::tstring>();
    const int64_t names_each = count > 0 ? names.size() / count : 0;
    float* out = images->flat<float>().data();
    OP_REQUIRES_OK(context, for_each(context, count, [&](int64_t file) {
                     AugmentRequest request = request_;
                     if (request.training) take_draws(context, file, count, &request);
                     return of_sample(
                         view(names(file * names_each)),
                         augment_image(view(contents(file)), request, out + file * request.height * request.width * 3));
                   }));
  }

 private:
  // As many numbers for each file as are read.
  absl::Status check_inputs(tf::OpKernelContext* context, int64_t count) const {
    if (context->input(0).dims() > 1)
      return absl::InvalidArgumentError("MoxDecodeAugment takes one image file or a vector of them");
    const auto enough = [&](int input, int64_t each) { return context->input(input).NumElements() >= count * each; };
    if (!enough(1, 1)) return absl::InvalidArgumentError("MoxDecodeAugment: too few names");
    for (int i = 0; i < integers_; ++i)
      if (!enough(kDraws + i, request_.family != AugmentFamily::kVgg && i < 2 ? 3 : 1))
        return absl::InvalidArgumentError("MoxDecodeAugment: too few numbers in integers[" + std::to_string(i) + "]");
    for (int i = 0; i < floats_; ++i)
      if (!enough(kDraws + integers_ + i, 1))
        return absl::InvalidArgumentError("MoxDecodeAugment: too few numbers in floats[" + std::to_string(i) + "]");
    return absl::OkStatus();
  }

  void take_draws(tf::OpKernelContext* context, int64_t file, int64_t count, AugmentRequest* request) const {
    const auto begin_of = [&](int input) { return file * (context->input(input).NumElements() / count); };
    const auto integer = [&](int i, int64_t at = 0) {
      return context->input(kDraws + i).flat<int32_t>()(begin_of(kDraws + i) + at);
    };
    request->flip = flips_ && integer(integers_ - 1) == 1;
    if (request->family == AugmentFamily::kVgg) {
      // From the least int32 on.
      const auto above_least = [](int32_t drawn) { return static_cast<uint32_t>(drawn) ^ 0x80000000u; };
      request->side = integer(0);
      request->top = above_least(integer(1));
      request->left = above_least(integer(2));
      return;
    }
    for (int i = 0; i < 2; ++i) {
      request->box_begin[i] = integer(0, i);
      request->box_size[i] = integer(1, i);
    }
    const auto number = [&](int input) { return context->input(input).flat<float>()(begin_of(input)); };
    request->brightness = number(kDraws + integers_);
    request->saturation = number(kDraws + integers_ + 1);
  }

  static constexpr int kDraws = 2;  // the first input that was drawn
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
    OP_REQUIRES(context, context->input(0).NumElements() == 1 && context->input(1).NumElements() > 0,
                absl::InvalidArgumentError("MoxImageShape takes one image; map over a batch of them"));
    const auto content = context->input(0).flat<tf::tstring>(), name = context->input(1).flat<tf::tstring>();
    int64_t height = 0, width = 0;
    OP_REQUIRES_OK(context, of_sample(view(name(0)), image_size(view(content(0)), apply_exif_, &height, &width)));
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
