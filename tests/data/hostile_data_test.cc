// Numbers and files from outside that no data set has: told before they size memory or a loop, and never handed on to
// operations of TensorFlow's that end the process.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/crc32c.h"
#include "data/tfrecord_fixture.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
namespace tf = tensorflow;
namespace ops = tensorflow::ops;

constexpr int64_t kFar = std::numeric_limits<int64_t>::max();

class HostileTest : public TFRecordTest {
 protected:
  HostileTest() {
    for (const char* name : {"a/1.jpg", "a/2.jpg", "b/1.jpg"}) folders_.write(name, image_);
  }
  RawDatasetOptions raw_options() const {
    RawDatasetOptions options;
    options.num_epochs = 1;
    options.image_size = ImageSize{8, 8};
    return options;
  }
  // What making a data set and its pipeline says.
  std::string raw_error(const RawDatasetOptions& options) {
    return message_of<InvalidArgumentError>([&] {
      ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folders_.path()), options);
      dataset.get(Scope::new_root(), {"image"});
    });
  }
  // What running it says.
  std::string run_error(Dataset& dataset, const std::vector<std::string>& keys) {
    return message_of<std::runtime_error>([&] {
      auto scope = Scope::new_root();
      PipelineRunner runner(scope, dataset.get(scope, keys));
      while (runner.next()) {
      }
    });
  }
  TempDir folders_;
};

TEST_F(HostileTest, NumbersOfOptions) {
  const auto message = [&](auto change) {
    RawDatasetOptions options = raw_options();
    change(options);
    return raw_error(options);
  };
  EXPECT_EQ(message([](auto& o) { o.capacity = kFar; }),
            "capacity is 9223372036854775807, expected an integer from 1 to 100000000");
  EXPECT_EQ(message([](auto& o) { o.num_readers = 1'000'000'000; }),
            "num_readers is 1000000000, expected an integer from 1 to 4096");
  EXPECT_EQ(message([](auto& o) { o.reader_kwargs["num_readers"] = kFar; }),
            "num_readers is 9223372036854775807, expected an integer from 1 to 4096");
  EXPECT_EQ(message([](auto& o) { o.preprocess_threads = kFar; }),
            "preprocess_threads is 9223372036854775807, expected an integer from 1 to 4096");
  EXPECT_NE(message([](auto& o) { o.private_num_threads = 1'000'000; }).find("expected an integer from 0 to 4096"),
            std::string::npos);
  EXPECT_NE(message([](auto& o) { o.num_epochs = kFar; }).find("expected an integer from 0 to 1099511627776"),
            std::string::npos);
  EXPECT_NE(message([](auto& o) { o.num_shards = kFar; }).find("num_shards is"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.shuffle_buffer_size = kFar; }).find("from 0 to 100000000"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.batch_size = kFar; }).find("batch_size is"), std::string::npos);
  EXPECT_EQ(message([](auto& o) {
              o.image_size = ImageSize{0, 8};
            }),
            "image_size: height is 0, expected an integer from 1 to 16384");
  EXPECT_EQ(message([](auto& o) {
              o.image_size = ImageSize{8, kFar};
            }),
            "image_size: width is 9223372036854775807, expected an integer from 1 to 16384");
  const std::string memory = message([](auto& o) {
    o.image_size = ImageSize{16384, 16384};
    o.batch_size = 1 << 20;
  });
  EXPECT_EQ(memory.rfind("a batch of 1048576 images of 16384x16384 needs 8.44e+14 bytes, this machine has", 0), 0u)
      << memory;
}

TEST_F(HostileTest, NumbersOfMetadata) {
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { BaseTFRecordMetadata(dir_.path(), {"*"}, {.num_samples = -1}); }),
            "num_samples is -1, expected an integer from 0 to 9007199254740992; 0: counted");
  ImageTFRecordMetadataOptions options;
  for (options.num_classes = -1; options.num_classes != kFar; options.num_classes = kFar)
    EXPECT_NE(message_of<InvalidArgumentError>([&] { metadata(options); }).find("from 0 to 10000000"),
              std::string::npos);
  PreviewOptions preview;
  preview.rows = kFar;
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { preview_dataset(preview); }),
            "rows is 9223372036854775807, expected an integer from 1 to 100");
  ConvertOptions convert;
  convert.num_shards = kFar;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { folders_to_tfrecord("a", "b", convert); }).find("from 0 to 100000"),
            std::string::npos);
}

// So many epochs overflow a count of samples.
TEST_F(HostileTest, ManyEpochs) {
  RawDatasetOptions options = raw_options();
  options.num_epochs = 1'000'000'000;
  auto scope = Scope::new_root();
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folders_.path()), options);
  PipelineRunner runner(scope, dataset.get(scope, {"label"}));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(runner.next());
}

TEST_F(HostileTest, ShapesOfFeatures) {
  const auto message = [&](const std::vector<int64_t>& shape, tf::DataType dtype = tf::DT_FLOAT) {
    KeysToFeatures features;
    features["boxes"] = {dtype, shape, false, std::nullopt};
    return message_of<InvalidArgumentError>([&] {
      get_tfrecord(dir_.path(), "*", features, {{"boxes", tensor_handler("boxes")}})->get(Scope::new_root(), {"boxes"});
    });
  };
  EXPECT_EQ(message({0}), "a size in the shape of feature boxes is 0, expected an integer from 1 to 2147483647");
  EXPECT_EQ(message({2, -7}), "a size in the shape of feature boxes is -7, expected an integer from 1 to 2147483647");
  EXPECT_NE(message({1 << 30, 1 << 30}).find("feature boxes needs 4.61e+18 bytes, this machine has"),
            std::string::npos);
  EXPECT_EQ(message(std::vector<int64_t>(255, 1)),
            "the number of dimensions of feature boxes is 255, expected an integer from 0 to 8");
  EXPECT_NE(message({}, tf::DT_UINT8).find("feature boxes is uint8, expected string, int64 or float"),
            std::string::npos);
}

// Files of more than 2 GiB, without their bytes.
void write_sparse(const std::string& path, const std::string& begin) {
  std::ofstream(path, std::ios::binary).write(begin.data(), static_cast<std::streamsize>(begin.size()));
  fs::resize_file(path, 3'000'000'000);
}

TEST_F(HostileTest, FilesLargerThanAnyImage) {
  write_sparse(folders_.path("a/2.jpg"), image_);
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folders_.path()), raw_options());
  const std::string text =
      "data file " + folders_.path("a/2.jpg") + " has 3000000000 bytes, expected at most 2147483647";
  EXPECT_NE(run_error(dataset, {"image"}).find(text), std::string::npos);
  const DatasetStat stat = dataset_stat(folders_.path());
  ASSERT_EQ(stat.broken.size(), 1u);
  EXPECT_EQ(stat.broken[0].reason, text);
}

TEST_F(HostileTest, NamesThatAreNoList) {
  const std::string labels = folders_.path("labels.txt");
  const auto message = [&] {
    return message_of<DataError>([&] { ImageClassificationRawMetadata metadata(folders_.path()); });
  };
  write_sparse(labels, "a\nb\n");
  EXPECT_EQ(message(), "data file " + labels + " has 3000000000 bytes, expected at most 67108864");
  fs::remove(labels);
  ASSERT_EQ(::mkfifo(labels.c_str(), 0600), 0);  // reading it would wait for ever
  EXPECT_EQ(message(), "data file " + labels + " is a pipe, a socket or a device, expected a file");
}

// A length with the right checksum.
TEST_F(HostileTest, RecordLargerThanAnyMessage) {
  const uint64_t length = 2'500'000'000;
  std::string header(12, '\0');
  std::memcpy(header.data(), &length, 8);
  const uint32_t crc = tf::crc32c::Mask(tf::crc32c::Value(header.data(), 8));
  std::memcpy(header.data() + 8, &crc, 4);
  write_sparse(path(1), header);
  const std::string text =
      "TFRecord file " + path(1) + ", record at byte 0: the record has 2500000000 bytes, more than can be read";
  const ImageClassificationTFRecordMetadata counted = metadata();
  EXPECT_EQ(counted.num_samples(), 8);
  EXPECT_NE(log_.find(text), std::string::npos) << log_;
  ImageClassificationTFRecordDataset dataset(counted, once());
  EXPECT_NE(run_error(dataset, {"label"}).find(text), std::string::npos);
}

// The address of an empty tensor's memory is null: TensorFlow's batch and unbatch follow it.
TEST_F(HostileTest, TensorsWithoutValues) {
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              make_tensor_dataset({{"x", tf::Tensor(tf::DT_FLOAT, {3, 0})}}, {});
            }).find("'x' has shape [3,0]: its rows have no values"),
            std::string::npos);
  KeysToFeatures features;
  features["boxes"] = {tf::DT_FLOAT, {}, true, std::nullopt};  // no record has any
  TFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  const auto boxes = [&] {
    return get_tfrecord(dir_.path(), "*train_0*", features, {{"boxes", tensor_handler("boxes")}}, 0, options);
  };
  {
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, boxes()->get(scope, {"boxes"}));
    ASSERT_TRUE(runner.next());
    EXPECT_EQ(runner[0].shape(), tf::TensorShape({0}));
  }
  options.batch_size = 2;
  EXPECT_NE(run_error(*boxes(), {"boxes"})
                .find(path(0) + ", record at byte 0: its boxes has shape [0], so no values; expected at least one"),
            std::string::npos);
  options.max_broken_samples = 4;
  auto scope = Scope::new_root();
  PipelineRunner none(scope, boxes()->get(scope, {"boxes"}));
  EXPECT_FALSE(none.next());  // each was left out
}

TEST_F(HostileTest, FunctionsThatReturnNothing) {
  RawDatasetOptions options = raw_options();
  options.batch_size = 2;
  const auto cut = [](const Scope& s, const tf::Output& image) { return ops::Slice(s, image, {0, 0, 0}, {0, -1, -1}); };
  options.augmentation_fn = cut;
  ImageClassificationRawDataset augmented(ImageClassificationRawMetadata(folders_.path()), options);
  EXPECT_NE(run_error(augmented, {"image"}).find("its image has shape [0,8,3], so no values"), std::string::npos);
  options.preprocess_fn = [](const Scope& s, const RawSample& sample) {
    RawSample out = sample;
    out.image = ops::Fill(s, {2, 4, 0, 3}, 1.0f);
    return out;
  };
  ImageClassificationRawDataset preprocessed(ImageClassificationRawMetadata(folders_.path()), options);
  EXPECT_NE(run_error(preprocessed, {"image", "label"}).find("its image has shape [2,4,0,3], so no values"),
            std::string::npos);
  options.preprocess_fn = nullptr;
  options.augmentation_fn = nullptr;
  options.batch_size = 0;
  options.augmentation_fn = cut;  // without batches it is the user's
  ImageClassificationRawDataset single(ImageClassificationRawMetadata(folders_.path()), options);
  auto scope = Scope::new_root();
  PipelineRunner runner(scope, single.get(scope, {"image"}));
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[0].NumElements(), 0);
}

REGISTER_OP("MoxTestOutOfRange").Input("x: uint8").Output("y: uint8").SetShapeFn(tf::shape_inference::UnchangedShape);
class TestOutOfRangeOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* context) override {
    context->CtxFailure(absl::OutOfRangeError("the queue of the user's is closed"));
  }
};
REGISTER_KERNEL_BUILDER(Name("MoxTestOutOfRange").Device(tf::DEVICE_CPU), TestOutOfRangeOp);

// To TensorFlow it is the end of the data: half an epoch would pass for a whole one.
TEST_F(HostileTest, OutOfRangeOfAnOperationIsAnError) {
  RawDatasetOptions options = raw_options();
  const auto fail = [](const Scope& s, const tf::Output& image) {
    tf::Node* node = nullptr;
    tf::NodeBuilder builder(s.GetUniqueNameForOp("fail"), "MoxTestOutOfRange");
    builder.Input(image.node(), image.index());
    EXPECT_TRUE(builder.Finalize(s.graph(), &node).ok());
    EXPECT_TRUE(s.DoShapeInference(node).ok());
    return tf::Output(node, 0);
  };
  options.augmentation_fn = fail;
  for (options.batch_size = 0; options.batch_size < 3; options.batch_size += 2) {
    ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folders_.path()), options);
    EXPECT_NE(run_error(dataset, {"image"}).find("the queue of the user's is closed"), std::string::npos);
  }
  options.batch_size = 2;
  options.augmentation_fn = nullptr;
  options.preprocess_fn = [&](const Scope& s, const RawSample& sample) {
    RawSample out = sample;
    out.image = fail(s, ops::Fill(s, {2, 4, 4, 3}, ops::Const<uint8_t>(s, 1)));
    return out;
  };
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folders_.path()), options);
  EXPECT_NE(run_error(dataset, {"image"}).find("the queue of the user's is closed"), std::string::npos);
}

}  // namespace
}  // namespace mox::test
