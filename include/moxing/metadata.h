// What a data set on disk holds: samples, classes and their names. Metadata is read once, when it is made; that throws
// NotFoundError when base_dir is not there, DataError (path, line or byte, what was expected) when it holds nothing
// that can be used, InvalidArgumentError for options out of range, and what file_error.h has for a store that fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"

namespace mox {

// The classes of a data set, numbered from 0.
class MOX_EXPORT ClassMetadata {
 public:
  int64_t num_classes() const { return static_cast<int64_t>(labels_list_.size()); }
  const std::vector<std::string>& labels_list() const { return labels_list_; }
  std::map<std::string, int64_t> names_to_labels() const;
  std::map<int64_t, std::string> labels_to_names() const;

 protected:
  ~ClassMetadata() = default;
  std::vector<std::string> labels_list_;
};

// One image file. `version` changes when the file does (its time of change): the cache asks for it.
struct ImageFile {
  std::string name;  // relative to the data set's folder
  int64_t size = 0;
  int64_t version = 0;
  int64_t label = 0;
};

namespace data {
struct ImageTable;
}

// The image files of a data set: 28 bytes each and its name without the folder, so that millions fit. Copies share
// them. Elements are made when they are asked for: they come by value.
class MOX_EXPORT ImageFiles {
 public:
  class Iterator {
   public:
    using value_type = ImageFile;
    using reference = ImageFile;
    using pointer = void;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    Iterator(const ImageFiles* files, size_t at) : files_(files), at_(at) {}
    ImageFile operator*() const { return (*files_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const ImageFiles* files_;
    size_t at_;
  };

  ImageFiles();
  // Of the engine.
  explicit ImageFiles(std::shared_ptr<const data::ImageTable> table) : table_(std::move(table)) {}

  size_t size() const;
  bool empty() const { return size() == 0; }
  ImageFile operator[](size_t i) const;  // i < size()
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

  // Those that `keep` says, in their order.
  ImageFiles subset(const std::function<bool(const ImageFile&)>& keep) const;
  const data::ImageTable& table() const { return *table_; }

 private:
  std::shared_ptr<const data::ImageTable> table_;
};

struct RawMetadataOptions {
  std::string redirect_dir;                    // read the images from this copy of base_dir
  std::string labels_filename = "labels.txt";  // used when base_dir has it
};

// Images in one folder a class: base_dir/daisy/1.jpg. Without labels.txt the classes are in the byte order of the
// folders' names; with it, a class that only one of the two has is a DataError. Hidden files, files that are no images
// by their names, and links back to a folder above are left out. An empty class folder is a class, with a warning.
class MOX_EXPORT ImageClassificationRawMetadata : public ClassMetadata {
 public:
  explicit ImageClassificationRawMetadata(const std::string& base_dir, const RawMetadataOptions& options = {});

  int64_t total_num_samples() const { return static_cast<int64_t>(images_.size()); }
  const ImageFiles& images() const { return images_; }
  // Where the images are read from: redirect_dir, else base_dir.
  const std::string& data_dir() const { return data_dir_; }

  // The same classes with those images that `keep` says. DataError when none is left.
  ImageClassificationRawMetadata subset(const std::function<bool(const ImageFile&)>& keep) const;
  // The names of a part of each class's images, chosen by `seed` and their names: the same wherever the data lie, and
  // whatever else lies with them but for a class's count. `part`, between 0 and 1, is rounded a class; of two images
  // and more at least one is in the part, and one is not. InvalidArgumentError for another part.
  std::vector<std::string> part_of_each_class(double part, int64_t seed) const;

 private:
  std::string data_dir_;
  ImageFiles images_;
};

struct MultilabelMetadataOptions {
  std::string images_sub_dir = "images";
  std::string labels_sub_dir = "labels";
  std::string labels_extension = "txt";        // images/1.jpg has its labels in labels/1.jpg.txt
  std::string redirect_dir;                    // read the images from this copy of base_dir
  std::string labels_filename = "labels.txt";  // used when base_dir has it
};

// Images with several labels each. Without labels.txt the classes are all the names in the label files, in byte order;
// names have no white space then.
class MOX_EXPORT MultilabelClassificationRawMetadata : public ClassMetadata {
 public:
  explicit MultilabelClassificationRawMetadata(const std::string& base_dir,
                                               const MultilabelMetadataOptions& options = {});

  int64_t total_num_samples() const { return static_cast<int64_t>(images_.size()); }
  const ImageFiles& images() const { return images_; }
  const std::string& data_dir() const { return data_dir_; }
  // The path that the image's label file has, whether it is there or not.
  std::string label_path(const ImageFile& image) const;
  // Whether it was there when this was made.
  bool has_label_file(const ImageFile& image) const;

 private:
  std::string base_dir_;
  std::string data_dir_;
  MultilabelMetadataOptions options_;
  ImageFiles images_;
  std::vector<std::string> label_files_;  // names in the labels' folder, sorted
};

struct TFRecordMetadataOptions {
  std::string redirect_dir;  // read the files from this copy of base_dir
  int64_t num_samples = 0;   // 0: counted from the record headers, all files at once
};

// TFRecord files of base_dir whose names match one of the patterns (*, ?, [..]). NotFoundError when none does,
// DataError when all of them are empty or no record can be read.
class MOX_EXPORT BaseTFRecordMetadata {
 public:
  BaseTFRecordMetadata(const std::string& base_dir, const std::vector<std::string>& file_patterns,
                       const TFRecordMetadataOptions& options = {});
  virtual ~BaseTFRecordMetadata();
  BaseTFRecordMetadata(const BaseTFRecordMetadata&) = default;
  BaseTFRecordMetadata(BaseTFRecordMetadata&&) = default;
  BaseTFRecordMetadata& operator=(const BaseTFRecordMetadata&) = default;
  BaseTFRecordMetadata& operator=(BaseTFRecordMetadata&&) = default;

  int64_t num_samples() const { return num_samples_; }
  int64_t total_num_samples() const { return num_samples_; }
  const std::vector<ImageFile>& files() const { return files_; }
  const std::string& data_dir() const { return data_dir_; }

 private:
  std::string data_dir_;
  std::vector<ImageFile> files_;
  int64_t num_samples_ = 0;
};

struct ImageTFRecordMetadataOptions : TFRecordMetadataOptions {
  int64_t num_classes = 0;                    // 0: as many as label_map_file names
  std::string label_map_file = "labels.txt";  // in base_dir; used when it is there
};

// TFRecord files of images with classes. InvalidArgumentError when num_classes and label_map_file do not agree.
class MOX_EXPORT ImageClassificationTFRecordMetadata : public BaseTFRecordMetadata, public ClassMetadata {
 public:
  ImageClassificationTFRecordMetadata(const std::string& base_dir, const std::vector<std::string>& file_patterns,
                                      const ImageTFRecordMetadataOptions& options = {});
  // Of files that tell nothing of classes. Implicit: an image data set takes any metadata of TFRecord files.
  ImageClassificationTFRecordMetadata(BaseTFRecordMetadata files) : BaseTFRecordMetadata(std::move(files)) {}
  int64_t num_classes() const { return num_classes_; }

 private:
  int64_t num_classes_ = 0;
};

}  // namespace mox
