#include "moxing/preview.h"

#include "base/limits.h"
#include "data/picture.h"
#include "data/pipeline.h"
#include "data/storage.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/image_dataset.h"
#include "moxing/preprocessing.h"
#include "moxing/tfrecord.h"
#include "tensorflow/cc/ops/const_op.h"
#include "tensorflow/core/public/session.h"
#include "tensorflow/core/util/batch_util.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int64_t kMostCells = 100;  // in a row or a column
constexpr int64_t kMostLabels = 100'000;
constexpr int64_t kGap = 2;  // pixels between the images

std::unique_ptr<Dataset> open_dataset(const PreviewOptions& options) {
  if (!options.dataset_name.empty())
    return get_dataset(options.dataset_name, options.split, options.data_url,
                       {.shuffle = true, .num_epochs = 1, .seed = options.seed});
  const auto fill = [&](auto read) {
    read.num_epochs = 1;
    read.seed = options.seed;
    read.max_broken_samples = options.max_broken_samples;
    return read;
  };
  const std::string pattern =
      options.file_pattern.empty() ? data::records_pattern(options.data_url) : options.file_pattern;
  if (!pattern.empty()) {
    ImageTFRecordMetadataOptions metadata;
    metadata.num_samples = 1;  // not needed here, so not counted
    auto read = fill(ImageTFRecordDatasetOptions());
    read.shuffle_buffer_size = 4 * options.rows * options.columns;
    return std::make_unique<ImageClassificationTFRecordDataset>(
        ImageClassificationTFRecordMetadata(options.data_url, {pattern}, metadata), read);
  }
  auto read = fill(RawDatasetOptions());
  read.capacity = options.rows * options.columns;
  return std::make_unique<ImageClassificationRawDataset>(ImageClassificationRawMetadata(options.data_url), read);
}

std::unique_ptr<tf::Session> start_session(const Scope& scope) {
  check(scope, "building the preview");
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  throw_if_error(session->Create(scope.state().to_graph_def()), "starting the preview");
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (const auto& [name, tensor] : scope.state().iterator_feeds) feeds.emplace_back(name + ":0", tensor);
  if (!scope.state().iterator_initializers.empty())
    throw_if_error(session->Run(feeds, {}, scope.state().iterator_initializers, nullptr),
                   "starting the input pipeline");
  return session;
}

std::string label_text(int64_t label, const std::vector<std::string>& names) {
  const std::string number = std::to_string(label);
  return label >= 0 && label < static_cast<int64_t>(names.size()) ? number + " " + names[label] : number;
}

struct Cell {
  tf::Tensor image;
  int64_t label = 0;
  std::string text;  // below the image
};

std::vector<Cell> read_cells(const PreviewOptions& options, Dataset* dataset) {
  const Scope scope = Scope::new_root();
  scope.state().seed = options.seed;
  const auto sample = dataset->get(scope, {"image", "label"});
  const tf::Output image = get_data_augmentation_fn(options.model_name, options.run_mode, options.image_size,
                                                    options.image_size, options.augmentation)(scope, sample[0]);
  const auto session = start_session(scope);
  std::vector<Cell> cells;
  std::vector<tf::Tensor> out;
  for (int64_t i = 0; i < options.rows * options.columns; ++i) {
    const auto status = session->Run({}, {image.name(), sample[1].name()}, {}, &out);
    if (absl::IsOutOfRange(status) && i > 0) break;
    // Without the name of the graph's node behind it.
    const std::string message(status.message().substr(0, status.message().find("\n\t [[")));
    throw_if_error(absl::Status(status.code(), message), "reading " + options.data_url);
    const auto label = out[1].scalar<int64_t>()();
    if (cells.empty())
      check_fits_memory(
          "a picture of " + std::to_string(options.rows) + "x" + std::to_string(options.columns) + " images of " +
              std::to_string(out[0].dim_size(0)) + "x" + std::to_string(out[0].dim_size(1)),
          16.0 * static_cast<double>(options.rows * options.columns) * static_cast<double>(out[0].NumElements()),
          "lower rows, columns or image_size");
    cells.push_back({out[0], label, label_text(label, dataset->class_names())});
  }
  return cells;
}

// "7 rose .70 2 daisy .30"
std::string mixed_text(const tf::Tensor& labels, int64_t row, const std::vector<std::string>& names) {
  std::string text;
  for (int64_t i = 0; i < labels.dim_size(1); ++i)
    if (const float share = labels.matrix<float>()(row, i); share >= 0.005f)
      text += (text.empty() ? "" : " ") + label_text(i, names) + " " + std::to_string(share).substr(0, 4);
  return text;
}

// What mix_batch makes of all cells as one batch.
void mix(const PreviewOptions& options, const std::vector<std::string>& names, std::vector<Cell>* cells) {
  const auto count = static_cast<int64_t>(cells->size());
  int64_t classes = 0;
  for (const Cell& cell : *cells) {
    if (cell.label < 0 || cell.label >= kMostLabels)
      throw DataError("reading " + options.data_url + ": there is the label " + std::to_string(cell.label) +
                      ", with which nothing can be mixed; expected 0 to " + std::to_string(kMostLabels - 1));
    classes = std::max(classes, cell.label + 1);
  }
  tf::TensorShape shape = cells->front().image.shape();
  shape.InsertDim(0, count);
  tf::Tensor images(tf::DT_FLOAT, shape), labels(tf::DT_FLOAT, {count, classes});
  labels.flat<float>().setZero();
  for (int64_t i = 0; i < count; ++i) {
    throw_if_error(tf::batch_util::CopyElementToSlice((*cells)[i].image, &images, i), "mixing the images");
    labels.matrix<float>()(i, (*cells)[i].label) = 1;
  }
  const Scope scope = Scope::new_root();
  scope.state().seed = options.seed;
  const MixedBatch mixed = mix_batch(scope, tf::ops::Const(scope, images), tf::ops::Const(scope, labels), options.mix);
  const auto session = start_session(scope);
  std::vector<tf::Tensor> out;
  throw_if_error(session->Run({}, {mixed.images.name(), mixed.labels.name()}, {}, &out), "mixing the images");
  for (int64_t i = 0; i < count; ++i) {
    throw_if_error(tf::batch_util::CopySliceToElement(out[0], &(*cells)[i].image, i), "mixing the images");
    (*cells)[i].text = mixed_text(out[1], i, names);
  }
}

}  // namespace

void preview_dataset(const PreviewOptions& options) {
  check_integer("rows", options.rows, 1, kMostCells);
  check_integer("columns", options.columns, 1, kMostCells);
  const bool mixes = options.mix.mixup > 0 || options.mix.cutmix > 0;
  if (mixes && options.run_mode != ModeKeys::TRAIN)
    throw InvalidArgumentError("mixup and cutmix are for run_mode TRAIN: leave them out");
  const auto dataset = open_dataset(options);
  std::vector<Cell> cells = read_cells(options, dataset.get());
  if (mixes) mix(options, dataset->class_names(), &cells);
  const int64_t image_height = cells[0].image.dim_size(0), image_width = cells[0].image.dim_size(1);
  const int64_t height = image_height + data::Picture::kTextHeight + kGap, width = image_width + kGap;
  data::Picture picture(options.rows * height, options.columns * width);
  for (size_t i = 0; i < cells.size(); ++i) {
    const int64_t top = static_cast<int64_t>(i) / options.columns * height,
                  left = static_cast<int64_t>(i) % options.columns * width;
    picture.draw_image(top, left, cells[i].image);
    picture.draw_text(top + image_height, left, image_width, cells[i].text);
  }
  file::write(options.output_url, data::encode_png(picture.pixels()));
}

}  // namespace mox
