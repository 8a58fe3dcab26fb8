// mox data convert | split | stat | preview
#include <fmt/format.h>

#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "base/pattern.h"
#include "base/printable.h"
#include "base/text.h"
#include "command_line.h"
#include "engine/classifier_data.h"
#include "engine/entry.h"
#include "engine/option_flags.h"
#include "engine/recipe_flags.h"
#include "moxing/datasets.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

using nlohmann::json;

// Shows so many broken files; --json has all.
constexpr size_t kBrokenShown = 50;

int convert(const std::vector<std::string>& args) {
  std::string src, dst, to = "tfrecord", pattern;
  ConvertOptions options;
  CommandLine app("Converts class folders to TFRecord files as TF-slim writes them, or back.", "mox data convert");
  app.option("SRC", src, "folder of the data set").required();
  app.option("DST", dst, "folder to write to").required();
  app.option("--to", to, "tfrecord or folders").one_of({"tfrecord", "folders"}).show_default();
  app.option("--file_pattern", pattern, "with --to=folders: the files to read, e.g. 'train-*'; default: *.tfrecord");
  app.option("--prefix", options.prefix, "files are named PREFIX-00000-of-00005.tfrecord").show_default();
  app.number("--num_shards", options.num_shards, {0, kMaxShards}, "files to write; 0: one for each 128 MiB")
      .show_default();
  add_option(app, dataset_option("max_broken_samples"), options.max_broken_samples);
  app.flag("--overwrite", options.overwrite, "replace what DST has already");
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  const ConvertSummary summary = to == "tfrecord"
                                     ? folders_to_tfrecord(src, dst, options)
                                     : tfrecord_to_folders(src, pattern.empty() ? "*.tfrecord" : pattern, dst, options);
  fmt::print("{} samples in {} files, {} broken left out\n", summary.samples, summary.files, summary.broken);
  return kDone;
}

SplitSpec parse_split(const std::string& text) {
  SplitSpec spec;
  for (const std::string& part : split_list(text)) {
    const size_t sign = part.find('=');
    const std::string name = trimmed(part.substr(0, sign));
    const std::string number = sign == std::string::npos ? "" : trimmed(part.substr(sign + 1));
    char* rest = nullptr;
    const double fraction = std::strtod(number.c_str(), &rest);
    if (number.empty() || *rest)
      throw InvalidArgumentError("--split has '" + part + "', expected NAME=FRACTION, e.g. train=0.8,eval=0.2");
    spec.emplace_back(name, fraction);
  }
  return spec;
}

int split(const std::vector<std::string>& args) {
  std::string src, dst, spec = "train=0.8,eval=0.2";
  bool overwrite = false;
  CommandLine app("Copies class folders to DST/train/CLASS, DST/eval/CLASS, … by fractions of each class.",
                  "mox data split");
  app.option("SRC", src, "folder of the data set").required();
  app.option("DST", dst, "folder to write to").required();
  app.option("--split", spec, "NAME=FRACTION,…").show_default();
  app.flag("--overwrite", overwrite, "replace parts that are there already");
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  for (const auto& [name, count] : split_image_classification_dataset(parse_split(spec), src, dst, overwrite))
    fmt::print("{}: {} images\n", printable_name(name), count);
  return kDone;
}

json as_json(const DatasetStat& stat) {
  json classes = json::array(), broken = json::array();
  for (const auto& c : stat.classes) classes.push_back({{"name", c.name}, {"count", c.count}, {"bytes", c.bytes}});
  for (const auto& b : stat.broken) broken.push_back({{"path", b.path}, {"reason", b.reason}});
  return {{"samples", stat.samples},
          {"bytes", stat.bytes},
          {"classes", classes},
          {"formats", stat.formats},
          {"height", {stat.min_height, stat.max_height}},
          {"width", {stat.min_width, stat.max_width}},
          {"broken", broken}};
}

void print_stat(const DatasetStat& stat) {
  size_t width = 5;
  for (const auto& c : stat.classes) width = std::max(width, printable_name(c.name).size());
  fmt::print("{:>5}  {:<{}}  {:>8}  {:>14}\n", "label", "class", width, "images", "bytes");
  for (size_t i = 0; i < stat.classes.size(); ++i)
    fmt::print("{:>5}  {:<{}}  {:>8}  {:>14}\n", i, printable_name(stat.classes[i].name), width, stat.classes[i].count,
               stat.classes[i].bytes);
  fmt::print("{} images, {} bytes, {} to {} high, {} to {} wide\n", stat.samples, stat.bytes, stat.min_height,
             stat.max_height, stat.min_width, stat.max_width);
  for (const auto& [format, count] : stat.formats) fmt::print("{}: {}\n", format, count);
  fmt::print("broken: {}\n", stat.broken.size());
  for (size_t i = 0; i < stat.broken.size() && i < kBrokenShown; ++i)
    fmt::print("  {}: {}\n", printable_name(stat.broken[i].path), printable_name(stat.broken[i].reason));
  if (stat.broken.size() > kBrokenShown)
    fmt::print("  … and {} more; --json lists all\n", stat.broken.size() - kBrokenShown);
}

int stat(const std::vector<std::string>& args) {
  std::string url, pattern;
  bool as_object = false;
  CommandLine app("Prints classes, counts, sizes and broken files; exit code 1 when something is broken.",
                  "mox data stat");
  app.option("URL", url, "folder of the data set").required();
  app.option("--file_pattern", pattern,
             "TFRecord files, e.g. 'train-*'; default: *.tfrecord where URL has such files, else images and "
             "labels, else class "
             "folders");
  app.flag("--json", as_object, "print one JSON object");
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  const DatasetStat result = dataset_stat(url, pattern);
  if (as_object)
    std::cout << json_text(as_json(result), 2) << "\n";
  else
    print_stat(result);
  return result.broken.empty() ? kDone : kFailed;
}

int preview(const std::vector<std::string>& args) {
  PreviewOptions options;
  std::string mode = "TRAIN";
  CommandLine app("Draws a grid of augmented samples with their labels.", "mox data preview");
  app.option("--model_name", options.model_name, "network whose augmentation is shown").required();
  app.option("--data_url", options.data_url, "folder of the data set").required();
  app.option("--output_url", options.output_url, "PNG file to write").required();
  app.option("--dataset_name", options.dataset_name,
             "built-in data set, e.g. mnist; default: TFRecord files or class folders");
  app.option("--split", options.split, "of a built-in data set").show_default();
  app.option("--file_pattern", options.file_pattern, "TFRecord files, e.g. 'train-*'; default: as in data stat");
  app.option("--run_mode", mode, "TRAIN or EVAL").one_of({"TRAIN", "EVAL"}).show_default();
  app.number("--rows", options.rows, {1, 100}).show_default();
  app.number("--columns", options.columns, {1, 100}).show_default();
  app.number("--image_size", options.image_size, {1, kMaxImageSide}, "pixels a side; default: the network's");
  app.number("--seed", options.seed,
             {std::numeric_limits<decltype(options.seed)>::min(), std::numeric_limits<decltype(options.seed)>::max()})
      .show_default();
  add_option(app, dataset_option("max_broken_samples"), options.max_broken_samples);
  RecipeFlags recipe;
  add_sample_flags(app, &recipe);
  if (const int code = app.parse_with_flags(args); code >= 0) return code;
  take_sample_flags(app, &recipe);
  options.augmentation = recipe.recipe.augmentation;
  options.mix = recipe.recipe.mix;
  options.run_mode = parse_mode(mode);
  if (options.dataset_name.empty() && options.file_pattern.empty()) {
    // The part of the data that `mox train` and `mox eval` read.
    ClassifierConfig config;
    config.data_url = options.data_url;
    const ClassifierData data(config);
    options.data_url = data.folder(options.run_mode == ModeKeys::TRAIN ? data.train_split() : data.eval_split());
  }
  preview_dataset(options);
  fmt::print("{}\n", options.output_url);
  return kDone;
}

struct DataCommand {
  const char* name;
  const char* summary;
  int (*run)(const std::vector<std::string>& args);
};

constexpr DataCommand kCommands[] = {
    {"convert", "class folders to TFRecord files, or back", convert},
    {"split", "class folders to parts, e.g. train and eval", split},
    {"stat", "classes, counts, sizes, broken files", stat},
    {"preview", "a picture of augmented samples", preview},
};

void print_help(std::ostream& out) {
  out << "Usage: mox data COMMAND [OPTIONS]\n\nCommands:\n";
  for (const auto& command : kCommands) out << fmt::format("  {:<8} {}\n", command.name, command.summary);
  out << "\n`mox data COMMAND --help` tells more. Folders are local or s3:// paths.\n";
}

}  // namespace

int run_data(const std::vector<std::string>& args) {
  if (args.empty()) {
    print_help(std::cerr);
    return kUsage;
  }
  if (args[0] == "--help" || args[0] == "-h") {
    print_help(std::cout);
    return kDone;
  }
  std::string known;
  for (const auto& command : kCommands) {
    if (args[0] == command.name) return command.run({args.begin() + 1, args.end()});
    known += std::string(known.empty() ? "" : ", ") + command.name;
  }
  throw InvalidArgumentError("there is no command '" + args[0] + "'; there are: " + known);
}

}  // namespace mox::cli
