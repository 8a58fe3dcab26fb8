// MoxImagePaths: the paths of those image files that `numbers` names, put together from data/image_table.h's columns.
//
// A string a file would take about a hundred bytes, for all files and the whole training.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxImagePaths")
    .Input("numbers: int64")
    .Input("folder_of: int32")  // of those files: as many as numbers
    .Input("names: uint8")
    .Input("ends: int64")
    .Input("folders: string")
    .Output("paths: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

class ImagePathsOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tf::OpKernelContext* context) override {
    const auto numbers = context->input(0).flat<int64_t>();
    const auto folder_of = context->input(1).flat<int32_t>();
    const auto names = context->input(2).flat<uint8_t>();
    const auto ends = context->input(3).flat<int64_t>();
    const auto folders = context->input(4).flat<tf::tstring>();
    OP_REQUIRES(context, folder_of.size() == numbers.size(),
                absl::InvalidArgumentError("MoxImagePaths: numbers and folder_of differ in their sizes"));
    tf::Tensor* paths = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &paths));
    for (int64_t i = 0; i < numbers.size(); ++i) {
      const int64_t file = numbers(i), folder = folder_of(i);
      OP_REQUIRES(context, file >= 0 && file < ends.size() && folder >= 0 && folder < folders.size(),
                  absl::InvalidArgumentError("MoxImagePaths: there is no file " + std::to_string(file)));
      const int64_t begin = file == 0 ? 0 : ends(file - 1), end = ends(file);
      OP_REQUIRES(context, begin >= 0 && begin <= end && end <= names.size(),
                  absl::InvalidArgumentError("MoxImagePaths: file " + std::to_string(file) + " has no name"));
      tf::tstring& path = paths->flat<tf::tstring>()(i);
      path = folders(folder);
      path.append(reinterpret_cast<const char*>(names.data()) + begin, static_cast<size_t>(end - begin));
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("MoxImagePaths").Device(tf::DEVICE_CPU), ImagePathsOp);

}  // namespace
}  // namespace mox::data
