#include "run/checkpoint_file.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>

#include "base/crc32c.h"
#include "graph/graph_state.h"
#include "run/data_file.h"
#include "tensorflow/core/framework/tensor_shape.pb.h"
#include "tensorflow/core/framework/versions.pb.h"
#include "tensorflow/core/lib/hash/crc32c.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/lib/io/table_builder.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/random.h"
#include "tensorflow/core/protobuf/tensor_bundle.pb.h"
#include "tensorflow/core/util/tensor_bundle/naming.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr size_t kBlock = 1 << 18;  // is still in the cache when it is written, after its checksum

// Under a temporary name, as TensorFlow's writer calls them (leftovers.cc knows them), where files can be renamed.
class NewName {
 public:
  explicit NewName(const std::string& path) : path_(path), written_(path) {
    bool renames = true;
    if (!tf::Env::Default()->HasAtomicMove(path, &renames).ok() || renames)
      written_ = path + ".tempstate" + std::to_string(tf::random::New64());
  }
  const std::string& written() const { return written_; }
  // The closed file gets its own name.
  void finish() const {
    if (written_ != path_)
      throw_if_error(tf::Env::Default()->RenameFile(written_, path_), "renaming " + written_ + " to " + path_);
  }

 private:
  const std::string path_;
  std::string written_;
};

class Writer {
 public:
  // `bytes`: of all values.
  Writer(const std::string& prefix, uint64_t bytes)
      : prefix_(prefix), data_name_(tf::DataFilename(prefix, 0, 1)), data_(data_name_.written(), bytes) {}

  void add(const std::string& name, const tf::Tensor& value) {
    tf::BundleEntryProto& entry = entries_[name];
    entry.set_dtype(value.dtype());
    value.shape().AsProto(entry.mutable_shape());
    entry.set_offset(size_);
    const absl::string_view bytes = value.tensor_data();
    entry.set_size(static_cast<int64_t>(bytes.size()));
    uint32_t crc = 0;
    for (size_t at = 0; at < bytes.size(); at += kBlock) {
      const size_t block = std::min(kBlock, bytes.size() - at);
      crc = crc32c(crc, bytes.data() + at, block);
      data_.append(bytes.data() + at, block);
    }
    entry.set_crc32c(tf::crc32c::Mask(crc));
    size_ += entry.size();
  }

  // The index comes last: a checkpoint without one is not there for any reader.
  void finish() {
    data_.finish();
    data_name_.finish();
    const std::string path = tf::MetaFilename(prefix_);
    const NewName name(path);
    std::unique_ptr<tf::WritableFile> index;
    throw_if_error(tf::Env::Default()->NewWritableFile(name.written(), &index), "writing " + path);
    tf::table::Options options;
    options.compression = tf::table::kNoCompression;
    tf::table::TableBuilder table(options, index.get());
    tf::BundleHeaderProto header;
    header.set_num_shards(1);
    header.mutable_version()->set_producer(tf::kTensorBundleVersion);
    header.mutable_version()->set_min_consumer(tf::kTensorBundleMinConsumer);
    table.Add(tf::kHeaderEntryKey, header.SerializeAsString());
    for (const auto& [variable, entry] : entries_) table.Add(variable, entry.SerializeAsString());
    throw_if_error(table.Finish(), "writing " + path);
    throw_if_error(index->Close(), "writing " + path);
    name.finish();
  }

 private:
  const std::string prefix_;
  const NewName data_name_;
  DataFile data_;
  int64_t size_ = 0;
  std::map<std::string, tf::BundleEntryProto> entries_;  // as the index has them: by name
};

void make_folder_of(const std::string& prefix) {
  const std::string folder(tf::io::Dirname(prefix));
  if (folder.empty()) return;
  const absl::Status made = tf::Env::Default()->RecursivelyCreateDir(folder);
  if (!absl::IsAlreadyExists(made)) throw_if_error(made, "making the folder " + folder);
}

// What has no plain bytes in memory, such as strings: TensorFlow's own writer.
void write_by_tensorflow(const std::string& prefix, const NamedValues& values) {
  tf::BundleWriter writer(tf::Env::Default(), prefix);
  for (const auto& [name, value] : values)
    throw_if_error(writer.Add(name, value), "saving variable " + name + " to " + prefix);
  throw_if_error(writer.Finish(), "saving checkpoint " + prefix);
}

}  // namespace

void write_checkpoint(const std::string& prefix, NamedValues values) {
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const bool plain = std::all_of(values.begin(), values.end(),
                                 [](const auto& value) { return tf::DataTypeCanUseMemcpy(value.second.dtype()); });
  if (!plain) return write_by_tensorflow(prefix, values);
  make_folder_of(prefix);
  uint64_t bytes = 0;
  for (const auto& [name, value] : values) bytes += value.tensor_data().size();
  Writer writer(prefix, bytes);
  for (auto& [name, value] : values) {
    writer.add(name, value);
    value = tf::Tensor();
  }
  writer.finish();
}

}  // namespace mox
