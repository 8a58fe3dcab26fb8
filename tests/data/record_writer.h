// Writes TFRecord files of tf.Example for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/lib/io/record_writer.h"
#include "tensorflow/core/platform/env.h"

namespace mox::test {

// A record as TF-slim writes it.
inline std::string image_record(const std::string& encoded, int64_t label) {
  tensorflow::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image/encoded"].mutable_bytes_list()->add_value(encoded);
  features["image/format"].mutable_bytes_list()->add_value("jpg");
  features["image/class/label"].mutable_int64_list()->add_value(label);
  return example.SerializeAsString();
}

inline void write_records(const std::string& path, const std::vector<std::string>& records) {
  std::unique_ptr<tensorflow::WritableFile> file;
  if (!tensorflow::Env::Default()->NewWritableFile(path, &file).ok()) throw std::runtime_error("cannot write " + path);
  tensorflow::io::RecordWriter writer(file.get());
  for (const auto& record : records)
    if (!writer.WriteRecord(record).ok()) throw std::runtime_error("cannot write " + path);
  if (!writer.Close().ok() || !file->Close().ok()) throw std::runtime_error("cannot write " + path);
}

}  // namespace mox::test
