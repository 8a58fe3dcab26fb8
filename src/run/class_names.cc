#include "moxing/class_names.h"

#include "data/labels_file.h"
#include "graph/graph_state.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

void write_class_names(const std::string& dir, const std::vector<std::string>& names) {
  const std::string path = tf::io::JoinPath(dir, "labels.txt");
  throw_if_error(tf::WriteStringToFile(tf::Env::Default(), path, data::format_labels(names)), "writing " + path);
}

std::vector<std::string> read_class_names(const std::string& dir) {
  return data::read_labels(tf::io::JoinPath(dir, "labels.txt"));
}

}  // namespace mox
