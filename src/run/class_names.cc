#include "moxing/class_names.h"

#include <sstream>

#include "graph/graph_state.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

void write_class_names(const std::string& dir, const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) text += std::to_string(i) + ": " + names[i] + "\n";
  const std::string path = tf::io::JoinPath(dir, "labels.txt");
  throw_if_error(tf::WriteStringToFile(tf::Env::Default(), path, text), "writing " + path);
}

std::vector<std::string> read_class_names(const std::string& dir) {
  std::string text;
  std::vector<std::string> names;
  if (!tf::ReadFileToString(tf::Env::Default(), tf::io::JoinPath(dir, "labels.txt"), &text).ok()) return names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) names.push_back(line.substr(colon + 2));
  }
  return names;
}

}  // namespace mox
