#include "moxing/class_names.h"

#include "data/labels_file.h"
#include "moxing/file.h"
#include "tensorflow/core/lib/io/path.h"

namespace mox {

namespace tf = tensorflow;

void write_class_names(const std::string& dir, const std::vector<std::string>& names) {
  file::write(tf::io::JoinPath(dir, "labels.txt"), data::format_labels(names));  // whole, or as it was
}

std::vector<std::string> read_class_names(const std::string& dir) {
  return data::read_labels(tf::io::JoinPath(dir, "labels.txt"));
}

}  // namespace mox
