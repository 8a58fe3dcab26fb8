// MoxCheckImage: passes a record's image on to a function of the user's, or names the record when it is empty or cut
// off.
#include "data/decode_image.h"
#include "data/storage.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxCheckImage")
    .Input("contents: string")
    .Input("name: string")
    .Output("checked: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class CheckImageOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tf::OpKernelContext* context) override {
    const auto contents = context->input(0).flat<tf::tstring>(), names = context->input(1).flat<tf::tstring>();
    OP_REQUIRES(context, contents.size() == names.size(), absl::InvalidArgumentError("every image needs a name"));
    for (int64_t i = 0; i < contents.size(); ++i) {
      const std::string_view content(contents(i).data(), contents(i).size());
      const std::string name(names(i));
      const absl::Status status = check_whole(content, has_image_extension(name));
      OP_REQUIRES(context, status.ok(),
                  absl::Status(status.code(), "image " + name + ": " + std::string(status.message())));
    }
    context->set_output(0, context->input(0));
  }
};

REGISTER_KERNEL_BUILDER(Name("MoxCheckImage").Device(tf::DEVICE_CPU), CheckImageOp);

}  // namespace
}  // namespace mox::data
