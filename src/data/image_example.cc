#include "data/image_example.h"

#include <limits>

#include "tensorflow/core/example/example.pb.h"

namespace mox::data {

std::string parse_image_example(std::string_view record, ImageExample* example) {
  tensorflow::Example parsed;
  if (record.size() > std::numeric_limits<int32_t>::max() ||
      !parsed.ParseFromArray(record.data(), static_cast<int>(record.size())))
    return "not a tf.Example";
  auto& features = *parsed.mutable_features()->mutable_feature();
  const auto take_bytes = [&](const char* key, std::string* to) {
    const auto found = features.find(key);
    if (found != features.end() && found->second.bytes_list().value_size() > 0)
      *to = std::move(*found->second.mutable_bytes_list()->mutable_value(0));
  };
  take_bytes("image/encoded", &example->encoded);
  take_bytes("image/class/text", &example->class_text);
  take_bytes("image/filename", &example->file_name);
  if (example->encoded.empty()) return "feature image/encoded is missing";
  const auto label = features.find("image/class/label");
  if (label == features.end() || label->second.int64_list().value_size() == 0)
    return "feature image/class/label is missing";
  example->label = label->second.int64_list().value(0);
  return "";
}

}  // namespace mox::data
