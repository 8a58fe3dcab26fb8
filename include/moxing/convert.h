// Data sets on disk to other ones: split, folders to TFRecord and back, and what there is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"

namespace mox {

// Copies a data set of class folders to dst_dir/NAME/CLASS, one NAME a part: {{"train", 0.8}, {"eval", 0.2}}. Each
// class is split by these fractions, which add up to at most 1, always in the same way. InvalidArgumentError when a
// part is there already, unless `overwrite`.
using SplitSpec = std::vector<std::pair<std::string, double>>;
// Returns the images of each part. NotFoundError when src_dir is not there, DataError when it has no class folders.
MOX_EXPORT std::map<std::string, int64_t> split_image_classification_dataset(const SplitSpec& split_spec,
                                                                             const std::string& src_dir,
                                                                             const std::string& dst_dir,
                                                                             bool overwrite = false);

struct ConvertOptions {
  std::string prefix = "train";    // files are named prefix-00000-of-00005.tfrecord
  int64_t num_shards = 0;          // 0: one for each 128 MiB
  int64_t max_broken_samples = 0;  // that many broken images are left out, each named in the log; then it is an error
  bool shuffle = true;             // mix the classes, always in the same way
  bool overwrite = false;          // replace what the destination has already
};

struct ConvertSummary {
  int64_t samples = 0;
  int64_t files = 0;   // written, labels.txt not counted
  int64_t broken = 0;  // left out
};

// Class folders to TFRecord files as TF-slim writes them, and labels.txt. InvalidArgumentError when dst_dir has files
// of this prefix, or a labels.txt with other classes, unless `overwrite`: the old files of the prefix go then.
// DataError when src_dir holds no images, or more broken ones than max_broken_samples.
MOX_EXPORT ConvertSummary folders_to_tfrecord(const std::string& src_dir, const std::string& dst_dir,
                                              const ConvertOptions& options = {});
// The other way: every record becomes dst_dir/CLASS/NAME; CLASS is its number where no name is known. dst_dir must be
// empty or missing, unless `overwrite`: files of the same names are replaced then. NotFoundError when no file matches.
MOX_EXPORT ConvertSummary tfrecord_to_folders(const std::string& src_dir, const std::string& file_pattern,
                                              const std::string& dst_dir, const ConvertOptions& options = {});

// What a data set holds. Every image is decoded.
struct DatasetStat {
  struct Class {
    std::string name;
    int64_t count = 0;
    int64_t bytes = 0;
  };
  struct Broken {
    std::string path;
    std::string reason;
  };
  std::vector<Class> classes;
  std::map<std::string, int64_t> formats;  // "JPEG" -> images
  int64_t samples = 0;
  int64_t bytes = 0;
  int64_t min_height = 0, max_height = 0, min_width = 0, max_width = 0;
  std::vector<Broken> broken;
};
// Of the TFRecord files that match the pattern. Without one: of the folder's *.tfrecord files, else of images/ and
// labels/ (an image counts in each of its classes), else of class folders. NotFoundError when the folder is not there,
// DataError when it has nothing of that; images that are broken are listed in the result.
MOX_EXPORT DatasetStat dataset_stat(const std::string& dir, const std::string& file_pattern = "");

}  // namespace mox
