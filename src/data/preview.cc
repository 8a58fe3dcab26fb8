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
#include "tensorflow/core/public/session.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int64_t kMostCells = 100;  // in a row or a column
constexpr int64_t kGap = 2;          // pixels between the images

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

}  // namespace

void preview_dataset(const PreviewOptions& options) {
  check_integer("rows", options.rows, 1, kMostCells);
  check_integer("columns", options.columns, 1, kMostCells);
  const auto dataset = open_dataset(options);
  const Scope scope = Scope::new_root();
  scope.state().seed = options.seed;
  const auto sample = dataset->get(scope, {"image", "label"});
  const tf::Output image = get_data_augmentation_fn(options.model_name, options.run_mode, options.image_size,
                                                    options.image_size)(scope, sample[0]);
  const auto session = start_session(scope);
  std::optional<data::Picture> picture;
  std::vector<tf::Tensor> out;
  for (int64_t i = 0; i < options.rows * options.columns; ++i) {
    const auto status = session->Run({}, {image.name(), sample[1].name()}, {}, &out);
    if (absl::IsOutOfRange(status) && i > 0) break;
    // Without the name of the graph's node behind it.
    const std::string message(status.message().substr(0, status.message().find("\n\t [[")));
    throw_if_error(absl::Status(status.code(), message), "reading " + options.data_url);
    const int64_t height = out[0].dim_size(0) + data::Picture::kTextHeight + kGap, width = out[0].dim_size(1) + kGap;
    if (!picture)
      check_fits_memory("a picture of " + std::to_string(options.rows) + "x" + std::to_string(options.columns) +
                            " images of " + std::to_string(out[0].dim_size(0)) + "x" +
                            std::to_string(out[0].dim_size(1)),
                        3.0 * static_cast<double>(options.rows * height) * static_cast<double>(options.columns * width),
                        "lower rows, columns or image_size");
    if (!picture) picture.emplace(options.rows * height, options.columns * width);
    const int64_t top = i / options.columns * height, left = i % options.columns * width;
    picture->draw_image(top, left, out[0]);
    picture->draw_text(top + out[0].dim_size(0), left, out[0].dim_size(1),
                       label_text(out[1].scalar<int64_t>()(), dataset->class_names()));
  }
  file::write(
      options.output_url,
      data::encode_png(picture->pixels()));  // NOLINT(bugprone-unchecked-optional-access): one sample, or it threw
}

}  // namespace mox
