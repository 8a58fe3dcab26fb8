#include "moxing/convert.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/options.h"
#include "base/text.h"
#include "base/url.h"
#include "data/image_example.h"
#include "data/image_info.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/record_file.h"
#include "data/storage.h"
#include "file/glob.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/file_stream.h"
#include "moxing/metadata.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kThreads = 16;
constexpr int64_t kShardBytes = 128 << 20;
constexpr uint32_t kShuffleSeed = 7;  // any: the same order each time
// Images that are in memory at once.
constexpr size_t kChunk = 256;
constexpr int64_t kChunkBytes = 64 << 20;

void set_bytes(tf::Example* example, const std::string& key, const std::string& value) {
  (*example->mutable_features()->mutable_feature())[key].mutable_bytes_list()->add_value(value);
}

void set_number(tf::Example* example, const std::string& key, int64_t value) {
  (*example->mutable_features()->mutable_feature())[key].mutable_int64_list()->add_value(value);
}

std::string make_record(const ImageFile& image, const std::string& class_name, const std::string& content,
                        const data::ImageInfo& info) {
  tf::Example example;
  set_bytes(&example, "image/encoded", content);
  set_bytes(&example, "image/format", lower_case(data::to_string(info.format)));
  set_bytes(&example, "image/filename", base_name(image.name));
  set_number(&example, "image/height", info.height);
  set_number(&example, "image/width", info.width);
  set_number(&example, "image/class/label", image.label);
  set_bytes(&example, "image/class/text", class_name);
  return example.SerializeAsString();
}

// Writes one shard. What is not finished never shows at its path.
class ShardWriter {
 public:
  explicit ShardWriter(std::string path)
      : path_(std::move(path)),
        remote_(has_scheme(path_)),
        temporary_(remote_ ? path_ : path_ + ".tmp"),
        file_(temporary_, "wb") {}
  ~ShardWriter() {
    if (finished_) return;
    file_.discard();
    if (!remote_) file::remove(temporary_);
  }

  void write(const std::string& record) {
    // The frame of a TFRecord; see record_file.h.
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(record.size() >> 8 * i);
    file_.write(length + masked_crc(length) + record + masked_crc(record));
  }
  void finish() {
    file_.close();
    finished_ = true;
    if (!remote_) file::rename(temporary_, path_);
  }

 private:
  static std::string masked_crc(const std::string& bytes) {
    const uint32_t crc = tf::crc32c::Mask(crc32c(0, bytes.data(), bytes.size()));
    std::string text(4, '\0');
    for (size_t i = 0; i < 4; ++i) text[i] = static_cast<char>(crc >> 8 * i);
    return text;
  }

  std::string path_;
  bool remote_;
  std::string temporary_;
  file::File file_;
  bool finished_ = false;
};

std::string shard_path(const std::string& dir, const std::string& prefix, int64_t shard, int64_t num_shards) {
  char name[64];
  std::snprintf(name, sizeof name, "-%05ld-of-%05ld.tfrecord", static_cast<long>(shard), static_cast<long>(num_shards));
  return data::join_path(dir, prefix + name);
}

struct Prepared {
  std::string record;
  std::string broken;  // what is wrong; empty: nothing
};

Prepared prepare(const ImageClassificationRawMetadata& metadata, const ImageFile& image) {
  const std::string path = data::join_path(metadata.data_dir(), image.name);
  tf::tstring content;
  if (auto status = data::read_into(path, &content); !status.ok()) return {"", std::string(status.message())};
  data::ImageInfo info;
  if (auto status = data::inspect_image({content.data(), content.size()}, &info); !status.ok())
    return {"", "image " + path + ": " + std::string(status.message())};
  return {make_record(image, metadata.labels_list()[image.label], std::string(content), info), ""};
}

// A folder or file that a record names: it may come from anywhere, must not write outside of its folder, and must be
// read again by data sets, which leave out hidden names.
void check_name(const std::string& record, const std::string& name) {
  if (name.find('/') != std::string::npos || name.find('\0') != std::string::npos || name[0] == '.')
    throw DataError(record + ": '" + name + "' cannot be the name of a folder or file");
}

// What the record holds, with the name of its class.
data::ImageExample named_example(const tf::tstring& record, const std::string& name,
                                 const std::vector<std::string>& names) {
  data::ImageExample image;
  if (const std::string wrong = data::parse_image_example({record.data(), record.size()}, &image); !wrong.empty())
    throw DataError(name + ": " + wrong);
  if (!names.empty()) {
    if (image.label < 0 || image.label >= static_cast<int64_t>(names.size()))
      throw DataError(name + ": label " + std::to_string(image.label) + ", expected 0 to " +
                      std::to_string(names.size() - 1));
    image.class_text = names[static_cast<size_t>(image.label)];
  } else if (image.class_text.empty()) {
    image.class_text = std::to_string(image.label);
  }
  check_name(name, image.class_text);
  check_name(name, image.file_name);
  return image;
}

// The data files of the prefix in dst_dir: names as shard_path makes them.
std::vector<std::string> shards_in(const std::string& dst_dir, const std::string& prefix) {
  std::vector<std::string> names;
  if (!data::file_exists(dst_dir)) return names;
  for (const auto& entry : data::list_folder(dst_dir))
    if (entry.name.compare(0, prefix.size(), prefix) == 0 &&
        file::match_component("-[0-9]*-of-[0-9]*.tfrecord", std::string_view(entry.name).substr(prefix.size())))
      names.push_back(entry.name);
  return names;
}

// Files of two conversions beside each other would be read as one data set.
void check_destination(const std::string& dst_dir, const std::vector<std::string>& old_shards,
                       const std::vector<std::string>& classes) {
  if (!old_shards.empty())
    throw InvalidArgumentError("folder " + dst_dir + " has " + old_shards[0] + " already" +
                               (old_shards.size() > 1 ? ", and other files of this prefix" : "") +
                               "; give another folder or prefix, or set overwrite to replace them");
  const std::string labels = data::join_path(dst_dir, "labels.txt");
  if (const auto there = data::read_labels(labels); !there.empty() && there != classes)
    throw InvalidArgumentError("labels file " + labels +
                               " has other classes than the images, or another order of them; give another folder, or "
                               "set overwrite to replace it");
}

}  // namespace

ConvertSummary folders_to_tfrecord(const std::string& src_dir, const std::string& dst_dir,
                                   const ConvertOptions& options) {
  check_integer("num_shards", options.num_shards, 0, kMaxShards, "0 writes one for each 128 MiB");
  check_option(dataset_option("max_broken_samples"), options.max_broken_samples);
  if (options.prefix.find('/') != std::string::npos || options.prefix[0] == '.')
    throw InvalidArgumentError("prefix is '" + options.prefix +
                               "', expected how the files' names begin, without '/' "
                               "and not with '.', e.g. train");
  const ImageClassificationRawMetadata metadata(src_dir);
  std::vector<size_t> images(metadata.images().size());
  std::iota(images.begin(), images.end(), 0);
  int64_t bytes = 0;
  for (const auto& image : metadata.images()) bytes += image.size;
  if (options.shuffle) {
    std::mt19937 random(kShuffleSeed);
    for (size_t i = images.size(); i > 1; --i) std::swap(images[i - 1], images[random() % i]);
  }
  const auto count = static_cast<int64_t>(images.size());
  int64_t shards = options.num_shards > 0 ? options.num_shards : (bytes + kShardBytes - 1) / kShardBytes;
  shards = std::clamp<int64_t>(shards, 1, count);
  const auto old_shards = shards_in(dst_dir, options.prefix);
  if (!options.overwrite) check_destination(dst_dir, old_shards, metadata.labels_list());
  data::make_folders(dst_dir);
  data::BrokenLimit broken(options.max_broken_samples);
  ConvertSummary summary;
  std::set<std::string> written;
  for (int64_t shard = 0; shard < shards; ++shard) {
    const std::string path = shard_path(dst_dir, options.prefix, shard, shards);
    ShardWriter writer(path);
    const auto end = static_cast<size_t>(count * (shard + 1) / shards);
    for (auto begin = static_cast<size_t>(count * shard / shards), next = begin; begin < end; begin = next) {
      for (int64_t held = 0; next < end && next - begin < kChunk && held < kChunkBytes; ++next)
        held += metadata.images()[images[next]].size;
      std::vector<Prepared> chunk(next - begin);
      data::parallel_for(chunk.size(), kThreads,
                         [&](size_t i) { chunk[i] = prepare(metadata, metadata.images()[images[begin + i]]); });
      for (const auto& sample : chunk) {
        if (!sample.broken.empty()) {
          broken.add(sample.broken);
          continue;
        }
        writer.write(sample.record);
        ++summary.samples;
      }
    }
    writer.finish();
    written.insert(path);
    ++summary.files;
  }
  for (const auto& name : old_shards)
    if (!written.count(data::join_path(dst_dir, name))) file::remove(data::join_path(dst_dir, name));
  data::write_whole_file(data::join_path(dst_dir, "labels.txt"), data::format_labels(metadata.labels_list()));
  summary.broken = broken.count();
  return summary;
}

namespace {

// Writes the images of many records at once.
class ImageWriter {
 public:
  explicit ImageWriter(std::string dst_dir) : dst_dir_(std::move(dst_dir)) {}

  void add(data::ImageExample image) {
    const std::string number = std::to_string(count_++);
    if (image.file_name.empty())
      image.file_name = number + "." + lower_case(data::to_string(data::image_format(image.encoded)));
    while (!names_.insert(image.class_text + "/" + image.file_name).second)
      image.file_name = number + "-" + image.file_name;
    waiting_bytes_ += static_cast<int64_t>(image.encoded.size());
    waiting_.push_back(std::move(image));
    if (waiting_.size() == kChunk || waiting_bytes_ > kChunkBytes) flush();
  }
  void flush() {
    data::parallel_for(waiting_.size(), kThreads, [&](size_t i) {
      const data::ImageExample& image = waiting_[i];
      data::write_whole_file(data::join_path(data::join_path(dst_dir_, image.class_text), image.file_name),
                             image.encoded);
    });
    waiting_.clear();
    waiting_bytes_ = 0;
  }
  int64_t count() const { return count_; }

 private:
  std::string dst_dir_;
  int64_t count_ = 0;
  std::set<std::string> names_;
  std::vector<data::ImageExample> waiting_;
  int64_t waiting_bytes_ = 0;
};

// Every record of the file, or what is wrong with it.
void read_images(const std::string& path, int64_t size, const std::vector<std::string>& classes, ImageWriter* writer,
                 data::BrokenLimit* broken) {
  data::RecordFile file(path, data::open_random(path), size);
  tf::tstring record;
  absl::Status error;
  for (auto result = file.next(&record, &error); result != data::RecordFile::Result::kEnd;
       result = file.next(&record, &error)) {
    const std::string name = "TFRecord file " + path + ", record at byte " + std::to_string(file.offset());
    try {
      if (result == data::RecordFile::Result::kBroken) throw DataError(std::string(error.message()));
      writer->add(named_example(record, name, classes));
    } catch (const DataError& e) {
      broken->add(e.what());
    }
  }
}

}  // namespace

ConvertSummary tfrecord_to_folders(const std::string& src_dir, const std::string& file_pattern,
                                   const std::string& dst_dir, const ConvertOptions& options) {
  check_option(dataset_option("max_broken_samples"), options.max_broken_samples);
  ImageTFRecordMetadataOptions metadata_options;
  metadata_options.num_samples = 1;  // not counted: every record is read anyway
  const ImageClassificationTFRecordMetadata metadata(src_dir, {file_pattern}, metadata_options);
  if (!options.overwrite && data::file_exists(dst_dir) && !data::list_folder(dst_dir).empty())
    throw InvalidArgumentError("folder " + dst_dir +
                               " is not empty; give another, or set overwrite to write into it all the same");
  data::BrokenLimit broken(options.max_broken_samples);
  ImageWriter writer(dst_dir);
  for (const auto& entry : metadata.files())
    read_images(data::join_path(metadata.data_dir(), entry.name), entry.size, metadata.labels_list(), &writer, &broken);
  writer.flush();
  if (!metadata.labels_list().empty()) {
    for (const auto& name : metadata.labels_list()) data::make_folders(data::join_path(dst_dir, name));
    data::write_whole_file(data::join_path(dst_dir, "labels.txt"), data::format_labels(metadata.labels_list()));
  }
  return {writer.count(), writer.count(), broken.count()};
}

}  // namespace mox
