#include <unistd.h>

#include "base/unpacked_ahead.h"
#include "base/url.h"
#include "command.h"

namespace mox::cli {

namespace {

// The last one counts; "" where it is not given.
std::string value_of(const std::string& option, const std::vector<std::string>& args) {
  std::string value;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == option && i + 1 < args.size()) value = args[i + 1];
    if (args[i].rfind(option + "=", 0) == 0) value = args[i].substr(option.size() + 1);
  }
  return value;
}

}  // namespace

// The images of MNIST's kind, as data/builtin.cc looks for them: 47 MB, which zlib unpacks in the time that
// TensorFlow's libraries take to load.
void unpack_data_ahead(const std::string& name, const std::vector<std::string>& args) {
  if (name != "train" && name != "eval") return;
  const std::string dataset = value_of("--dataset_name", args);
  if (dataset != "mnist" && dataset != "fashion_mnist") return;
  std::string path = value_of("--data_url", args);
  if (path.empty() || has_scheme(path)) return;
  if (path.back() != '/') path += '/';
  path += name == "train" ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
  if (::access(path.c_str(), F_OK) != 0) unpack_ahead(path + ".gz");
}

}  // namespace mox::cli
