// mox nets: lists the built-in networks; mox nets NAME: what one consists of.
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "command_line.h"
#include "engine/entry.h"
#include "moxing/network_description.h"

namespace mox::cli {
namespace {

using nlohmann::ordered_json;

struct NetsOptions {
  std::string name;
  bool json = false;
  int num_classes = 0;
  int image_size = 0;
  int batch_size = 1;
};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// Two operations a multiply-add.
double gflops(const NetworkDescription& d) { return 2e-9 * static_cast<double>(d.multiply_adds); }

NetworkDescription describe(const std::string& name, const NetsOptions& options) {
  return describe_network(
      name, {.num_classes = options.num_classes, .batch_size = options.batch_size, .image_size = options.image_size});
}

ordered_json summary(const NetworkDescription& d, int image_size) {
  return {{"name", d.name},
          {"image_size", image_size > 0 ? image_size : d.meta.default_image_size},
          {"channels", d.meta.default_channels},
          {"num_classes", d.num_classes},
          {"labels_offset", d.meta.default_labels_offset},
          {"logits_pattern", d.meta.default_logits_pattern},
          {"parameters", d.parameters},
          {"gflops", gflops(d)}};
}

ordered_json to_json(const NetworkDescription& d, int image_size) {
  ordered_json json = summary(d, image_size);
  json["variables"] = ordered_json::array();
  for (const auto& v : d.variables)
    json["variables"].push_back(
        {{"name", v.name}, {"shape", v.shape}, {"trainable", v.trainable}, {"regularized", v.regularized}});
  json["end_points"] = ordered_json::array();
  for (const auto& e : d.end_points) json["end_points"].push_back({{"name", e.name}, {"shape", e.shape}});
  json["layers"] = ordered_json::array();
  for (const auto& l : d.layers)
    json["layers"].push_back(
        {{"name", l.name}, {"type", l.type}, {"shape", l.shape}, {"multiply_adds", l.multiply_adds}});
  return json;
}

int list_networks(const NetsOptions& options) {
  if (!options.json) std::printf("%-20s %10s %12s %8s\n", "NAME", "IMAGE SIZE", "PARAMETERS", "GFLOPS");
  ordered_json all = ordered_json::array();
  for (const std::string& name : network_names()) {
    const NetworkDescription d = describe(name, options);
    if (options.json)
      all.push_back(summary(d, options.image_size));
    else
      std::printf("%-20s %10d %12lld %8.2f\n", name.c_str(), d.meta.default_image_size,
                  static_cast<long long>(d.parameters), gflops(d));
    std::fflush(stdout);
  }
  if (options.json) std::printf("%s\n", json_text(all, 1).c_str());
  return kDone;
}

void print_text(const NetworkDescription& d, int image_size) {
  const int size = image_size > 0 ? image_size : d.meta.default_image_size;
  std::printf("%s: %dx%dx%d images, %d classes, %lld parameters, %.2f GFLOPs an image, labels offset %d\n",
              d.name.c_str(), size, size, d.meta.default_channels, d.num_classes, static_cast<long long>(d.parameters),
              gflops(d), d.meta.default_labels_offset);
  std::printf("\nVariables\n");
  for (const auto& v : d.variables)
    std::printf("  %-80s %-22s%s%s\n", v.name.c_str(), shape_text(v.shape).c_str(), v.trainable ? "" : " not trained",
                v.regularized ? " weight decay" : "");
  std::printf("\nEnd points\n");
  for (const auto& e : d.end_points) std::printf("  %-60s %s\n", e.name.c_str(), shape_text(e.shape).c_str());
  std::printf("\nLayers\n");
  for (const auto& l : d.layers)
    std::printf("  %-80s %-22s %-22s %12.3f MFLOPs\n", l.name.c_str(), l.type.c_str(), shape_text(l.shape).c_str(),
                2e-6 * static_cast<double>(l.multiply_adds));
}

}  // namespace

int run_nets(const std::vector<std::string>& args) {
  NetsOptions options;
  CommandLine app("Lists the built-in networks, or shows what one consists of", "mox nets");
  app.option("name", options.name, "a network's name; without it all are listed");
  app.flag("--json", options.json, "print JSON");
  app.number("--num_classes", options.num_classes, {1, kMaxClasses},
             "classes of the logits; default: 10 for 28x28 and 32x32 images, else 1000");
  app.number("--image_size", options.image_size, {1, kMaxImageSide}, "height and width; default: the network's own");
  app.number("--batch_size", options.batch_size, {1, kMaxBatchSize}, "first number of the shapes");
  if (const int code = app.parse(args); code >= 0) return code;
  if (options.name.empty()) return list_networks(options);
  const NetworkDescription d = describe(options.name, options);
  if (options.json)
    std::printf("%s\n", json_text(to_json(d, options.image_size), 1).c_str());
  else
    print_text(d, options.image_size);
  return kDone;
}

}  // namespace mox::cli
