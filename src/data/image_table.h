// The image files of a data set, column by column: what metadata holds is what a pipeline reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moxing/metadata.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox::data {

// Tensors, because pipelines are fed with them: without a copy, so a data set of millions is in memory once.
struct ImageTable {
  std::vector<std::string> folders;  // as they stand before a name: "daisy/", or ""
  tensorflow::Tensor names;          // uint8: the names without their folders, one behind the other
  tensorflow::Tensor ends;           // int64 [files]: where each name ends
  tensorflow::Tensor folder_of;      // int32 [files]: its number; of class folders it is the label
  tensorflow::Tensor sizes;          // int64 [files]
  tensorflow::Tensor versions;       // int64 [files]

  size_t size() const { return static_cast<size_t>(ends.NumElements()); }
  std::string_view name(size_t i) const;
};

// The files of one folder.
class FolderOfImages {
 public:
  void add(std::string_view name, int64_t size, int64_t version);
  size_t size() const { return files_.size(); }

 private:
  friend ImageFiles join_folders(std::vector<std::string> folders, std::vector<FolderOfImages> files);
  struct File {
    size_t end;
    int64_t size, version;
  };
  std::string names_;
  std::vector<File> files_;
};

// folders: as in ImageTable, one for each of `files`.
ImageFiles join_folders(std::vector<std::string> folders, std::vector<FolderOfImages> files);

}  // namespace mox::data
