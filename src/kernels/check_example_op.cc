// MoxCheckExample: passes a record on, or names the one that is no tf.Example: TensorFlow's parser shows its bytes
// alone.
#include <cstdint>
#include <string_view>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::data {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxCheckExample")
    .Input("record: string")
    .Input("name: string")
    .Output("checked: string")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

// Fields of a protocol buffer's message, one after the other.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}
  bool at_end() const { return rest_.empty(); }
  // Steps over a field; `value` is what a field of bytes holds, else empty. False where none begins.
  bool next(uint64_t* number, std::string_view* value) {
    uint64_t tag = 0, length = 0;
    *value = {};
    if (!varint(&tag)) return false;
    *number = tag >> 3;
    switch (tag & 7) {
      case 0:
        return varint(&length);
      case 1:
        return take(8, value);
      case 2:
        return varint(&length) && take(length, value);
      case 5:
        return take(4, value);
      default:
        return false;
    }
  }

 private:
  bool varint(uint64_t* value) {
    *value = 0;
    for (size_t i = 0; i < 10 && i < rest_.size(); ++i) {
      const auto byte = static_cast<uint8_t>(rest_[i]);
      *value |= static_cast<uint64_t>(byte & 0x7f) << 7 * i;
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }
  bool take(uint64_t size, std::string_view* value) {
    if (size > rest_.size()) return false;
    *value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

// Whether fields follow each other to the end, down to the lists of values: Example, Features, entry, Feature.
bool is_example(std::string_view message, int level = 0) {
  constexpr int kFeature = 3;
  constexpr uint64_t kInside[] = {1, 1, 2};  // the field that holds the next level
  Fields fields(message);
  uint64_t number = 0;
  std::string_view value;
  while (!fields.at_end())
    if (!fields.next(&number, &value) ||
        (level < kFeature && number == kInside[level] && !is_example(value, level + 1)))
      return false;
  return true;
}

class CheckExampleOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tf::OpKernelContext* context) override {
    const auto records = context->input(0).flat<tf::tstring>(), names = context->input(1).flat<tf::tstring>();
    OP_REQUIRES(context, records.size() == names.size(), absl::InvalidArgumentError("every record needs a name"));
    for (int64_t i = 0; i < records.size(); ++i)
      OP_REQUIRES(context, is_example({records(i).data(), records(i).size()}),
                  absl::DataLossError("TFRecord file " + std::string(names(i)) + ": not a tf.Example"));
    context->set_output(0, context->input(0));
  }
};

REGISTER_KERNEL_BUILDER(Name("MoxCheckExample").Device(tf::DEVICE_CPU), CheckExampleOp);

}  // namespace
}  // namespace mox::data
