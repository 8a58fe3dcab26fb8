// A resumed training whose samples come out of files and are augmented at random: each sample is what it would have
// been in a training that was never interrupted.
#include <filesystem>
#include <fstream>

#include "data/record_writer.h"
#include "moxing/datasets.h"
#include "moxing/preprocessing.h"
#include "moxing/tensor_dataset.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

class ResumeInput : public ::testing::Test {
 protected:
  ResumeInput() {
    const std::string image = read(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (int i = 0; i < 20; ++i) {
      const std::string folder = images_.path(i % 2 ? "odd" : "even");
      std::filesystem::create_directories(folder);
      std::ofstream(folder + "/" + std::to_string(i) + ".jpg", std::ios::binary) << image;
    }
    for (int file = 0; file < 3; ++file) {
      std::vector<std::string> records;
      for (int i = 0; i < 7; ++i) records.push_back(test::image_record(image, file * 7 + i));
      test::write_records(records_.path("train_" + std::to_string(file) + ".tfrecord"), records);
    }
    set_flag("num_inter_threads", 1);
    set_flag("num_intra_threads", 1);
  }
  ~ResumeInput() override { reset_flags(); }

  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // The means of the image's channels against its label: a loss that tells the sample and what was drawn for it.
  static ModelSpec image_model(const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    const Output means = ops::Mean(s, inputs[0], {1, 2});
    const Output w = s.get_variable("w", {3, 1}, {.initializer = constant_initializer(0.1f)});
    const Output y = ops::Squeeze(s, ops::MatMul(s, means, w), ops::Squeeze::Axis({1}));
    const Output label = ops::Cast(s, inputs[1], tensorflow::DT_FLOAT);
    const Output loss = ops::Mean(s, ops::Square(s, ops::Sub(s, y, label)), 0);
    return {.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"loss", loss}}};
  }

  static std::vector<float> losses(const InputFn& input, const std::string& log_dir, int64_t steps, bool auto_batch) {
    std::vector<float> found;
    RunOptions options = toy_options(log_dir, steps);
    options.input_fn = input;
    options.model_fn = image_model;
    options.optimizer_fn = get_optimizer_fn("momentum", 0.001);
    options.auto_batch = auto_batch;
    options.batch_size = 3;
    options.random_seed = 7;
    options.output_every_n_steps = 1;
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& output : outputs) found.push_back(output.at("loss").scalar<float>()());
    };
    run(options);
    return found;
  }

  // Epochs of 20 and 21 samples end in the middle of a batch; stops within the first, at the end of it, and in the
  // third.
  static void expect_resumes(const InputFn& input, bool auto_batch) {
    TempDir whole, parts;
    const std::vector<float> want = losses(input, whole.path(), 20, auto_batch);
    std::vector<float> got;
    for (int64_t steps : {4, 7, 15, 20})
      for (float loss : losses(input, parts.path(), steps, auto_batch)) got.push_back(loss);
    EXPECT_EQ(got, want);
    EXPECT_NE(want[0], want[7]);
  }

  static AugmentationFn augmentation() { return get_data_augmentation_fn("inception_v1", ModeKeys::TRAIN, 8, 8); }

  TempDir images_, records_;
};

TEST_F(ResumeInput, ImagesAreAugmentedAsInAnUninterruptedRun) {
  const ImageClassificationRawMetadata metadata(images_.path());
  for (int64_t batch : {0, 3}) {
    SCOPED_TRACE(batch ? "the data set makes the batches" : "run makes the batches");
    RawDatasetOptions options;
    options.batch_size = batch;
    options.augmentation_fn = augmentation();
    expect_resumes(
        [&](const Scope& s, ModeKeys) {
          return ImageClassificationRawDataset(metadata, options).get(s, {"image", "label"});
        },
        batch == 0);
  }
}

// What input_fn draws itself becomes a function that the engine maps.
TEST_F(ResumeInput, WhatInputFnDrawsIsRepeated) {
  const ImageClassificationRawMetadata metadata(images_.path());
  RawDatasetOptions options;
  options.image_size = {{12, 12}};
  expect_resumes(
      [&](const Scope& s, ModeKeys) {
        const std::vector<Output> sample = ImageClassificationRawDataset(metadata, options).get(s, {"image", "label"});
        const auto [seed, seed2] = s.next_seed();
        const Output noise =
            ops::RandomUniform(s, {12, 12, 3}, tensorflow::DT_FLOAT, ops::RandomUniform::Seed(seed).Seed2(seed2));
        const Output image = augmentation()(s, sample[0]);
        return std::vector<Output>{ops::Add(s, image, ops::Mean(s, ops::Add(s, noise, 0.f), {0, 1, 2})), sample[1]};
      },
      true);
}

TEST_F(ResumeInput, RecordsGoOnInTheSameOrder) {
  const ImageClassificationTFRecordMetadata metadata(records_.path(), {"train_*"});
  for (int64_t batch : {0, 3}) {
    SCOPED_TRACE(batch ? "the data set makes the batches" : "run makes the batches");
    ImageTFRecordDatasetOptions options;
    options.batch_size = batch;
    options.shuffle_buffer_size = 5;
    options.augmentation_fn = augmentation();
    expect_resumes(
        [&](const Scope& s, ModeKeys) {
          return ImageClassificationTFRecordDataset(metadata, options).get(s, {"image", "label"});
        },
        batch == 0);
  }
}

// The labels that a training sees, in order; 21 records in 3 files, or 50 rows in memory.
class ResumePlace : public ResumeInput {
 protected:
  std::vector<int64_t> numbers(const InputFn& input, const std::string& log_dir, int64_t batch, int64_t steps,
                               bool auto_batch = true) {
    std::vector<int64_t> seen;
    RunOptions options = toy_options(log_dir, steps);
    options.input_fn = input;
    options.auto_batch = auto_batch;
    options.batch_size = batch;
    options.random_seed = 3;
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
      const Output w = s.get_variable("w", {}, {.initializer = constant_initializer(0.1f)});
      const Output loss = ops::Square(s, w);
      return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"n", inputs[0]}}};
    };
    options.output_every_n_steps = 1;
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& output : outputs) {
        const Tensor& n = output.at("n");
        for (int64_t i = 0; i < n.NumElements(); ++i) seen.push_back(n.flat<int64_t>()(i));
      }
    };
    run(options);
    return seen;
  }

  InputFn records() {
    return [this](const Scope& s, ModeKeys) {
      ImageTFRecordDatasetOptions options;
      options.shuffle_buffer_size = 6;
      return ImageClassificationTFRecordDataset(ImageClassificationTFRecordMetadata(records_.path(), {"train_*"}),
                                                options)
          .get(s, {"label"});
    };
  }

  static InputFn rows(DatasetOptions options) {
    return [options](const Scope& s, ModeKeys) {
      Tensor n(tensorflow::DT_INT64, {50});
      for (int64_t i = 0; i < 50; ++i) n.vec<int64_t>()(i) = i;
      DatasetOptions shuffled = options;
      shuffled.shuffle = true;
      return make_tensor_dataset({{"n", n}}, {}, shuffled)->get(s, {"n"});
    };
  }
};

TEST_F(ResumePlace, AnotherBatchSizeGoesOnAtTheSameSample) {
  for (const InputFn& input : {records(), rows({})}) {
    TempDir whole, parts;
    const std::vector<int64_t> want = numbers(input, whole.path(), 1, 69);
    std::vector<int64_t> got = numbers(input, parts.path(), 7, 5);
    for (int64_t n : numbers(input, parts.path(), 4, 9)) got.push_back(n);
    set_flag("num_gpus", 2);
    for (int64_t n : numbers(input, parts.path(), 3, 12)) got.push_back(n);
    set_flag("num_gpus", 1);
    EXPECT_EQ(got, want);
  }
}

TEST_F(ResumePlace, EachEpochOfRecordsHasEachOnce) {
  TempDir dir;
  std::vector<int64_t> two = numbers(records(), dir.path(), 3, 14);
  ASSERT_EQ(two.size(), 42u);
  EXPECT_FALSE(std::equal(two.begin(), two.begin() + 21, two.begin() + 21)) << "both epochs have the same order";
  for (int epoch : {0, 1}) {
    std::vector<int64_t> one(two.begin() + 21 * epoch, two.begin() + 21 * (epoch + 1));
    std::sort(one.begin(), one.end());
    for (int64_t i = 0; i < 21; ++i) EXPECT_EQ(one[i], i) << "epoch " << epoch;
  }
}

TEST_F(ResumePlace, AFiniteInputsLastShortBatchCountsAsWhatItIs) {
  for (const bool drop : {false, true}) {
    TempDir whole, parts;
    const InputFn input = rows({.num_epochs = 2, .batch_size = 8, .drop_remainder = drop});
    const std::vector<int64_t> want = numbers(input, whole.path(), 8, 0, false);
    EXPECT_EQ(want.size(), drop ? 96u : 100u);
    std::vector<int64_t> got = numbers(input, parts.path(), 8, 5, false);
    for (int64_t n : numbers(input, parts.path(), 8, 0, false)) got.push_back(n);
    EXPECT_EQ(got, want);
    // A second pass over an input with more epochs goes on behind the short batch.
    const InputFn longer = rows({.num_epochs = 3, .batch_size = 10, .drop_remainder = drop});
    EXPECT_EQ(numbers(longer, parts.path(), 10, 0, false).size(), 50u);
    // All was read: nothing is left, which is no error.
    LogCapture log;
    EXPECT_TRUE(numbers(longer, parts.path(), 10, 0, false).empty());
    EXPECT_TRUE(log.contains("the input was read to its end before")) << log.all();
  }
}

}  // namespace
}  // namespace mox
