// Decoding and augmentation as one operation: the numbers, the verdict on broken files and what is drawn are those of
// the separate operations.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "data/jpeg_codings.h"
#include "data/pipeline_runner.h"
#include "input/lift_input.h"
#include "input/stateless_input.h"
#include "moxing/convert.h"
#include "moxing/datasets.h"
#include "moxing/preprocessing.h"
#include "passes/fuse_augment.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
namespace tf = tensorflow;

struct Recipe {
  std::string network = "vgg_16";
  ModeKeys mode = ModeKeys::TRAIN;
  bool in_data_set = false;  // as augmentation_fn; else in input_fn
  int height = 224, width = 224;
  AugmentationOptions options = {};
  bool apply_exif = false;
  bool batches = false;  // of 4
  int64_t epochs = 1;
  std::string alpha = "drop";
  std::string cache_dir = {};  // of pixels
  int64_t max_broken = 1000000;
  bool records = false;  // TFRecord files of the folder's images
  std::function<tf::Output(const Scope&scope, const tf::Output&image)> before = {}, after = {};
};

struct Delivery {
  int fused = 0;
  bool whole_batches = false;                             // by one call each
  std::vector<std::string> names;                         // in their order
  std::map<std::string, std::vector<tf::Tensor>> images;  // by name, epoch by epoch
};

tf::Output augmented(const Recipe& recipe, const Scope& scope, const tf::Output& image) {
  const auto augment =
      get_data_augmentation_fn(recipe.network, recipe.mode, recipe.height, recipe.width, recipe.options);
  const tf::Output result = augment(scope, recipe.before ? recipe.before(scope, image) : image);
  return recipe.after ? recipe.after(scope, result) : result;
}

template <typename Options>
Options filled(const Recipe& recipe, const AugmentationFn& augment) {
  Options options;
  options.num_epochs = recipe.epochs;
  options.max_broken_samples = recipe.max_broken;
  options.apply_exif_orientation = recipe.apply_exif;
  options.alpha = recipe.alpha;
  options.cache_dir = recipe.cache_dir;
  if (recipe.in_data_set) options.augmentation_fn = augment;
  // Of a data set's batches there is a last one that is short.
  if (recipe.in_data_set && recipe.batches) options.batch_size = 4;
  return options;
}

std::unique_ptr<Dataset> open_images(const std::string& folder, const Recipe& recipe, const AugmentationFn& augment) {
  if (recipe.records)
    return std::make_unique<ImageClassificationTFRecordDataset>(
        ImageClassificationTFRecordMetadata(folder, {"*.tfrecord"}),
        filled<ImageTFRecordDatasetOptions>(recipe, augment));
  auto options = filled<RawDatasetOptions>(recipe, augment);
  if (!recipe.cache_dir.empty()) options.cache = "decoded";
  return std::make_unique<ImageClassificationRawDataset>(ImageClassificationRawMetadata(folder), options);
}

// Image and name, as input_fn would return them.
InputGraph build(const Scope& scope, const std::string& folder, const Recipe& recipe) {
  const AugmentationFn augment = [&](const Scope& s, const tf::Output& image) { return augmented(recipe, s, image); };
  const auto dataset = open_images(folder, recipe, augment);
  auto outputs = dataset->get(scope, {"image", "image_name"});
  if (!recipe.in_data_set) outputs[0] = augment(scope, outputs[0]);
  check(scope, "test");
  InputGraph input{{}, {}, scope.state().iterator_feeds, scope.state().iterator_initializers};
  scope.graph()->ToGraphDef(&input.graph);
  for (const tf::Output& output : outputs) input.outputs.push_back(tensor_info(scope.state().refiner, output));
  return input;
}

void add(const tf::Tensor& images, const tf::Tensor& names, Delivery* delivery) {
  const auto name = names.flat<tf::tstring>();
  for (int64_t i = 0; i < name.size(); ++i) {
    tf::Tensor image = images;
    if (images.dims() == 4) image = tf::Tensor(images.SubSlice(i));
    delivery->names.push_back(fs::path(std::string(name(i))).filename().string());
    delivery->images[delivery->names.back()].push_back(image);
  }
}

// As a run prepares and takes its input.
Delivery deliver(const std::string& folder, const Recipe& recipe, bool fuse) {
  const Scope scope = Scope::new_root();
  scope.state().seed = 5;
  LiftOptions lift;
  lift.auto_batch = recipe.batches && !recipe.in_data_set;
  lift.batch_size = 4;
  LiftedInput lifted = lift_input(build(scope, folder, recipe), lift);
  Delivery delivery;
  if (fuse) delivery.fused = fuse_augmentation(&lifted.graph);
  for (const tf::NodeDef& node : lifted.graph.node())
    delivery.whole_batches |= node.name().ends_with("/mox_augment/files");
  make_input_stateless(&lifted.graph, {"input/make_iterator"});
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(lifted.graph));
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (const auto& [name, tensor] : lifted.feeds) feeds.emplace_back(name + ":0", tensor);
  TF_CHECK_OK(session->Run(feeds, {}, lifted.initializers, nullptr));
  for (;;) {
    std::vector<tf::Tensor> values;
    const auto status = session->Run({}, lifted.tower_inputs[0], {}, &values);
    if (absl::IsOutOfRange(status)) break;
    TF_CHECK_OK(status);
    add(values[0], values[1], &delivery);
  }
  return delivery;
}

// Of values to 255 in vgg, to 1 in inception.
double tolerance(const Recipe& recipe) {
  return get_preprocessing_meta(recipe.network).family == "inception_preprocessing" ? 1e-5 : 1e-4;
}

double difference(const tf::Tensor& a, const tf::Tensor& b) {
  double worst = 0;
  for (int64_t i = 0; i < a.NumElements(); ++i)
    worst = std::max(worst, static_cast<double>(std::abs(a.flat<float>()(i) - b.flat<float>()(i))));
  return worst;
}

void expect_same(const std::string& folder, const Recipe& recipe, size_t at_least) {
  const Delivery separate = deliver(folder, recipe, false), fused = deliver(folder, recipe, true);
  EXPECT_EQ(separate.fused, 0);
  EXPECT_EQ(fused.fused, 1);
  EXPECT_EQ(fused.whole_batches, recipe.batches && recipe.max_broken == 0);
  EXPECT_GE(separate.images.size(), at_least);
  EXPECT_EQ(separate.names, fused.names);
  ASSERT_EQ(separate.images.size(), fused.images.size());
  for (const auto& [name, images] : separate.images) {
    ASSERT_TRUE(fused.images.count(name)) << name;
    const auto& others = fused.images.at(name);
    ASSERT_EQ(images.size(), others.size()) << name;
    for (size_t i = 0; i < images.size(); ++i) {
      ASSERT_EQ(images[i].shape(), others[i].shape()) << name;
      EXPECT_LE(difference(images[i], others[i]), tolerance(recipe)) << name << ", epoch " << i;
    }
  }
}

std::vector<Recipe> recipes() {
  std::vector<Recipe> all;
  for (const char* network : {"vgg_16", "inception_v3"})
    for (const ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL})
      for (const bool in_data_set : {false, true})
        all.push_back({.network = network, .mode = mode, .in_data_set = in_data_set});
  return all;
}

void write_all(const TempDir& dir, const std::vector<std::string>& contents) {
  for (size_t i = 0; i < contents.size(); ++i) dir.write("c/" + std::to_string(i) + ".jpg", contents[i]);
}

// Larger ones, which are cut on all sides.
std::vector<std::string> pictures() {
  std::vector<std::string> contents;
  for (const auto [width, height] : {std::pair{500, 333}, {333, 500}, {401, 97}, {64, 777}})
    for (const auto [horizontal, vertical] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}})
      for (const bool progressive : {false, true})
        contents.push_back(encode({width, height, 90, horizontal, vertical, progressive ? 0u : 3u, 0, true,
                                   width == 401 && vertical == 2, progressive}));
  return contents;
}

std::string shown(const Recipe& recipe) {
  return recipe.network + (recipe.mode == ModeKeys::TRAIN ? " TRAIN" : " EVAL") +
         (recipe.in_data_set ? " in the data set" : " in input_fn");
}

TEST(FusedAugmentation, EveryCodingHasTheSeparateOperationsNumbers) {
  TempDir dir;
  std::vector<std::string> contents = codings();
  const std::vector<std::string> larger = pictures();
  contents.insert(contents.end(), larger.begin(), larger.end());
  write_all(dir, contents);
  for (Recipe recipe : recipes()) {
    SCOPED_TRACE(shown(recipe));
    recipe.height = 61;
    recipe.width = 97;
    recipe.options.resize_side_min = 97;
    expect_same(dir.path(), recipe, contents.size());
  }
}

TEST(FusedAugmentation, EveryFormatGoesThroughTheSameOperation) {
  TempDir dir;
  size_t count = 0;
  for (const auto& item : fs::directory_iterator(MOX_TEST_IMAGES)) {
    dir.write("c/" + item.path().filename().string(), read_file(item.path().string()));
    ++count;
  }
  for (Recipe recipe : recipes()) {
    SCOPED_TRACE(shown(recipe));
    recipe.apply_exif = true;
    recipe.epochs = 3;
    recipe.alpha = recipe.mode == ModeKeys::TRAIN ? "white" : "black";
    expect_same(dir.path(), recipe, count);
  }
}

TEST(FusedAugmentation, PhotographsInManyEpochs) {
  if (!fs::exists("/usr/share/doc/opencv-doc")) GTEST_SKIP() << "the package opencv-doc is not installed";
  TempDir dir;
  size_t count = 0;
  for (const auto& item : fs::recursive_directory_iterator("/usr/share/doc/opencv-doc"))
    if (item.is_regular_file() && item.path().extension() == ".jpg" && item.file_size() < 300000 && count < 20)
      dir.write("c/" + std::to_string(count++) + ".jpg", read_file(item.path().string()));
  for (const char* network : {"vgg_16", "pvanet", "inception_v3"})
    expect_same(dir.path(), {.network = network, .batches = true, .epochs = 4}, count);
}

TEST(FusedAugmentation, BrokenFilesAreLeftOutAsBefore) {
  TempDir dir;
  std::mt19937 random(7);
  std::vector<std::string> contents = pictures();
  for (std::string& content : contents) {
    if (&content == &contents.back()) break;
    content.resize(random() % 3 == 0 ? random() % 200 : content.size() - 1 - random() % (content.size() / 2));
  }
  contents.push_back("");
  contents.push_back("no image");
  contents.push_back(std::string("\xff\xd8\xff\xe0", 4));
  contents.push_back("\x89PNG\r\n\x1a\n");
  write_all(dir, contents);
  for (Recipe recipe : recipes()) {
    SCOPED_TRACE(shown(recipe));
    recipe.height = recipe.width = 40;
    const Delivery separate = deliver(dir.path(), recipe, false), fused = deliver(dir.path(), recipe, true);
    EXPECT_EQ(fused.fused, 1);
    std::vector<std::string> names, others;
    for (const auto& [name, images] : separate.images) names.push_back(name);
    for (const auto& [name, images] : fused.images) others.push_back(name);
    EXPECT_EQ(names, others);
    EXPECT_GE(names.size(), 1u);
    EXPECT_LT(names.size(), contents.size() / 2);
  }
}

// In folders and TFRecord files, in batches of the run and of the data set, of which the last is short.
TEST(FusedAugmentation, WholeBatchesHaveTheSameNumbersInTheSameOrder) {
  TempDir dir, records;
  const std::vector<std::string> contents = pictures();
  write_all(dir, contents);
  dir.write("c/lossless.webp", read_file(std::string(MOX_TEST_IMAGES) + "/lossless.webp"));
  folders_to_tfrecord(dir.path(), records.path(), {.num_shards = 2});
  for (Recipe recipe : recipes())
    for (const bool of_records : {false, true}) {
      SCOPED_TRACE(shown(recipe) + (of_records ? ", TFRecord" : ""));
      recipe.height = 32;  // slices of a batch must be aligned
      recipe.width = 48;
      recipe.options.resize_side_min = 48;
      recipe.batches = true;
      recipe.epochs = 2;
      recipe.max_broken = 0;
      recipe.records = of_records;
      expect_same(of_records ? records.path() : dir.path(), recipe, contents.size() + 1);
    }
}

bool in_one_thread(const tf::NodeDef& node) {
  const auto several = node.attr().find("use_inter_op_parallelism");
  return node.op() == "ParallelMapDatasetV2" && several != node.attr().end() && !several->second.b();
}

// The error that ends a run, as text.
std::string failure(const std::string& folder, const Recipe& recipe, bool fuse) {
  const Scope scope = Scope::new_root();
  RawDatasetOptions options;
  options.num_epochs = 1;
  if (recipe.batches) options.batch_size = 4;
  options.augmentation_fn = [&](const Scope& s, const tf::Output& image) { return augmented(recipe, s, image); };
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folder), options);
  const auto outputs = dataset.get(scope, {"image"});
  tf::GraphDef graph;
  scope.graph()->ToGraphDef(&graph);
  if (fuse) {
    EXPECT_EQ(fuse_augmentation(&graph), 1);
    const bool shape_in_parallel = recipe.batches && recipe.mode == ModeKeys::TRAIN && recipe.network != "vgg_16";
    EXPECT_EQ(std::count_if(graph.node().begin(), graph.node().end(), in_one_thread), shape_in_parallel ? 2 : 1);
  }
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (const auto& [name, tensor] : scope.state().iterator_feeds) feeds.emplace_back(name + ":0", tensor);
  TF_CHECK_OK(session->Run(feeds, {}, scope.state().iterator_initializers, nullptr));
  std::vector<tf::Tensor> values;
  const std::string text(session->Run({}, {outputs[0].name()}, {}, &values).message());
  return text.substr(0, text.find('\n'));
}

TEST(FusedAugmentation, ErrorsNameTheFileAsBefore) {
  std::vector<Recipe> all;
  for (Recipe recipe : recipes()) {
    if (!recipe.in_data_set) continue;
    for (const bool batches : {false, true}) {
      recipe.batches = batches;
      all.push_back(recipe);
    }
  }
  const std::string picture = pictures()[0];
  for (const Recipe& recipe : all)
    for (const std::string& content : {std::string(), std::string("no image"), picture.substr(0, 3000)}) {
      TempDir dir;
      if (recipe.batches) dir.write("c/whole.jpg", picture);
      dir.write("c/broken.jpg", content);
      const std::string separate = failure(dir.path(), recipe, false);
      EXPECT_NE(separate.find("c/broken.jpg: "), std::string::npos) << separate;
      const auto told = [](const std::string& text) { return text.substr(std::min(text.size(), text.find("image "))); };
      EXPECT_EQ(told(failure(dir.path(), recipe, true)), told(separate)) << shown(recipe);
    }
}

// What is not only wanted of the decoded image, or is something else than the operation does, stays as it was.
TEST(FusedAugmentation, OtherGraphsStayAsTheyAre) {
  namespace ops = tf::ops;
  TempDir dir;
  write_all(dir, {pictures()[0]});
  const auto fused = [&](Recipe recipe) { return deliver(dir.path(), recipe, true).fused; };
  const auto brighter = [](const Scope& s, const tf::Output& image) {
    return tf::Output(ops::Add(s, ops::Cast(s, image, tf::DT_FLOAT), 1.f));
  };
  for (const bool in_data_set : {false, true}) {
    for (const char* network : {"cifarnet", "lenet"})
      EXPECT_EQ(fused({.network = network, .in_data_set = in_data_set, .height = 32, .width = 32}), 0);
    EXPECT_EQ(fused({.network = "inception_v3", .in_data_set = in_data_set, .options = {.fast_mode = false}}), 0);
    EXPECT_EQ(fused({.in_data_set = in_data_set, .before = brighter}), 0);
    EXPECT_EQ(fused({.in_data_set = in_data_set, .after = brighter}), 1);
    // The image is wanted, too.
    tf::Output kept;
    const auto keep = [&](const Scope&, const tf::Output& image) { return kept = image; };
    const auto less_mean = [&](const Scope& s, const tf::Output& result) {
      return tf::Output(ops::Subtract(s, result, ops::Mean(s, ops::Cast(s, kept, tf::DT_FLOAT), {0, 1, 2})));
    };
    EXPECT_EQ(fused({.in_data_set = in_data_set, .before = keep, .after = less_mean}), 0);
  }
}

TEST(PixelCache, HasTheNumbersOfTheFiles) {
  TempDir dir, cache;
  size_t count = 0;
  for (const auto& item : fs::directory_iterator(MOX_TEST_IMAGES)) {
    dir.write("c/" + item.path().filename().string(), read_file(item.path().string()));
    ++count;
  }
  dir.write("c/large.jpg", pictures()[6]);
  dir.write("c/broken.jpg", pictures()[6].substr(0, 5000));
  const std::vector<Recipe> some = {
      {.network = "vgg_16"},
      {.network = "inception_v3", .mode = ModeKeys::EVAL, .in_data_set = true, .alpha = "white"}};
  for (Recipe recipe : some) {
    SCOPED_TRACE(shown(recipe));
    recipe.epochs = 2;
    for (const bool exif : {false, true}) {
      recipe.apply_exif = exif;
      for (const bool fuse : {false, true}) {
        recipe.cache_dir = "";
        const Delivery files = deliver(dir.path(), recipe, fuse);
        recipe.cache_dir = cache.path();
        const Delivery cached = deliver(dir.path(), recipe, fuse);
        EXPECT_EQ(cached.fused, fuse);
        ASSERT_EQ(cached.images.size(), count + 1);
        for (const auto& [name, images] : files.images) {
          ASSERT_EQ(cached.images.at(name).size(), images.size()) << name;
          for (size_t i = 0; i < images.size(); ++i)
            EXPECT_LE(difference(images[i], cached.images.at(name)[i]), tolerance(recipe)) << name << ", epoch " << i;
        }
      }
    }
  }
}

TEST(FusedAugmentation, CanBeSwitchedOff) {
  TempDir dir;
  write_all(dir, {pictures()[0]});
  setenv("MOX_FUSE_AUGMENT", "0", 1);
  EXPECT_EQ(deliver(dir.path(), {}, true).fused, 0);
  unsetenv("MOX_FUSE_AUGMENT");
  EXPECT_EQ(deliver(dir.path(), {}, true).fused, 1);
}

}  // namespace
}  // namespace mox::test
