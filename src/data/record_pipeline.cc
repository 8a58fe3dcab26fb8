#include "data/record_pipeline.h"

#include <fmt/format.h>

#include "base/limits.h"
#include "data/image_pipeline.h"
#include "data/storage.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::data {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

const tf::PartialTensorShape kScalar{std::vector<int64_t>{}};
constexpr int64_t kRecordsAhead = 16;   // of each file that is read
constexpr int64_t kMostDimensions = 8;  // that TensorFlow's operations take

// The files of this worker: path, size and version, a row a file.
std::vector<tf::Output> file_columns(const Scope& scope, const BaseTFRecordMetadata& metadata) {
  const auto& files = metadata.files();
  const auto count = static_cast<int64_t>(files.size());
  tf::Tensor paths(tf::DT_STRING, {count}), sizes(tf::DT_INT64, {count}), versions(tf::DT_INT64, {count});
  for (int64_t i = 0; i < count; ++i) {
    paths.vec<tf::tstring>()(i) = join_path(metadata.data_dir(), files[i].name);
    sizes.vec<int64_t>()(i) = files[i].size;
    versions.vec<int64_t>()(i) = files[i].version;
  }
  return {fed_tensor(scope, "file_names", paths), fed_tensor(scope, "file_sizes", sizes),
          fed_tensor(scope, "file_versions", versions)};
}

// Reads that many files at once, a record of each in turn, always in the same order.
DatasetNode interleave(const Scope& scope, const DatasetNode& files, const TFRecordDatasetOptions& options,
                       int64_t parallel) {
  const auto one_file = [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>&) {
    return std::vector<tf::Output>{dataset_op(s, nullptr,
                                              {.op = "MoxRecordsDataset",
                                               .inputs = {element[0], element[1], element[2],
                                                          ops::Const(s, tf::Input::Initializer(options.cache_dir)),
                                                          ops::Const(s, options.remove_cache_on_finish)},
                                               .types = {tf::DT_STRING, tf::DT_STRING},
                                               .shapes = {kScalar, kScalar}})
                                       .variant};
  };
  DatasetNode node{{}, {tf::DT_STRING, tf::DT_STRING}, {kScalar, kScalar}};
  tf::NameAttrList f;
  f.set_name(add_function(scope, files, one_file, {}).name);
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("interleave"), "ParallelInterleaveDatasetV4");
  const auto number = [&](int64_t value) {
    return tf::NodeBuilder::NodeOut(tf::Output(ops::Const(scope, value)).node());
  };
  builder.Input(files.variant.node(), files.variant.index())
      .Input(std::vector<tf::NodeBuilder::NodeOut>{})
      .Input(number(parallel))
      .Input(number(1))
      .Input(number(kRecordsAhead))
      .Input(number(0))
      .Input(number(parallel))
      .Attr("f", f)
      .Attr("deterministic", "true")
      .Attr("Targuments", tf::DataTypeVector{})
      .Attr("output_types", node.types)
      .Attr("output_shapes", node.shapes);
  node.variant = tf::Output(add_node(scope, builder), 0);
  return node;
}

tf::Tensor default_of(const std::string& key, const Feature& feature) {
  if (!feature.default_value) return tf::Tensor(feature.dtype, tf::TensorShape({0}));  // "required" to the parser
  if (feature.default_value->dtype() != feature.dtype)
    throw InvalidArgumentError("feature " + key + ": the default is " +
                               tf::DataTypeString(feature.default_value->dtype()) + ", the feature " +
                               tf::DataTypeString(feature.dtype));
  return *feature.default_value;
}

}  // namespace

namespace {

// One epoch, as a function of its number: the files in its order, the records of several in turn, shuffled.
struct Epoch {
  const TFRecordDatasetOptions& options;
  SampleOrder order;  // of the files
  Shard records;      // of the records, where there are fewer files than workers
  const std::string& broken_counter;

  DatasetNode build(const Scope& s, const tf::Output& number, const std::vector<tf::Output>& columns,
                    const tf::Output& seed) const;
};

DatasetNode Epoch::build(const Scope& s, const tf::Output& number, const std::vector<tf::Output>& columns,
                         const tf::Output& seed) const {
  const int64_t count = order.samples_per_shard();
  const tf::Output first = ops::Multiply(s, number, count);
  const tf::Output files =
      sample_numbers_at(s, order, seed, ops::Range(s, first, ops::Add(s, first, count), int64_t{1}));
  std::vector<tf::Output> rows;
  for (const tf::Output& column : columns) rows.push_back(ops::GatherV2(s, column, files, 0));
  DatasetNode node = interleave(s, tensor_slices(s, rows), options, std::min(options.num_parallel, count));
  if (records.count > 1)
    node = dataset_op(s, &node,
                      {.op = "ShardDataset",
                       .inputs = {ops::Const(s, records.count), ops::Const(s, records.index)},
                       .types = {},
                       .shapes = {}});
  // Neither a shuffle nor a skip goes on behind an error: broken records are left out before.
  node = skip_broken(s, node, options.max_broken_samples, broken_counter, /*must_deliver=*/true);
  if (!options.shuffle || options.shuffle_buffer_size < 2) return node;
  return shuffle(s, node, ops::Const(s, options.shuffle_buffer_size), seed, ops::Add(s, number, int64_t{1}));
}

// A buffer is full before the first record leaves it.
void tell_large_buffer(const BaseTFRecordMetadata& metadata, const TFRecordDatasetOptions& options) {
  constexpr double kLarge = 1 << 30;
  if (!options.shuffle || metadata.num_samples() < 1) return;
  double bytes = 0;
  for (const ImageFile& file : metadata.files()) bytes += static_cast<double>(file.size);
  const int64_t held = std::min(options.shuffle_buffer_size, metadata.num_samples());
  const double gib = bytes / static_cast<double>(metadata.num_samples()) * static_cast<double>(held) / kLarge;
  if (gib >= 1)
    log_warning(
        fmt::format("data folder {}: the shuffle buffer holds {} records, about {:.1f} GiB, which are read "
                    "before the first batch; shuffle_buffer_size says how many",
                    metadata.data_dir(), with_commas(held), gib));
}

// Records of this worker in each epoch; 0 when epochs differ: which files they come from does.
int64_t records_per_epoch(const BaseTFRecordMetadata& metadata, const Epoch& epoch) {
  if (epoch.order.num_shards > 1) return 0;
  const int64_t all = metadata.num_samples();
  return all > 0 ? (all - epoch.records.index + epoch.records.count - 1) / epoch.records.count : 0;
}

}  // namespace

DatasetNode read_records(const Scope& scope, const BaseTFRecordMetadata& metadata,
                         const TFRecordDatasetOptions& options, const std::string& broken_counter) {
  tell_large_buffer(metadata, options);
  const auto num_files = static_cast<int64_t>(metadata.files().size());
  // Fewer files than workers: each worker reads all files and keeps its own records.
  const Shard shard = shard_of(options.shard_index, options.num_shards);
  const bool by_record = shard.count > num_files;
  DatasetOptions order_options;
  order_options.num_epochs = options.num_epochs;
  order_options.seed = options.seed;
  order_options.num_shards = by_record ? 1 : shard.count;
  order_options.shard_index = by_record ? 0 : shard.index;
  Epoch epoch{options, checked_order(scope, order_options, num_files, options.shuffle), {}, broken_counter};
  epoch.order.resumes = true;
  if (by_record) {
    epoch.records = shard;
    if (options.seed == 0 && scope.state().seed == 0) epoch.order.seed = 1;  // as for shards of files
  }
  const OrderFeeds feeds = fed_order(scope, epoch.order);
  MapOptions captured{.captured = file_columns(scope, metadata)};
  captured.captured.push_back(feeds.seed);
  // A resumed training leaves out whole epochs unread, and the rest of what it has seen unparsed.
  const int64_t per_epoch = records_per_epoch(metadata, epoch);
  tf::Output first_epoch = ops::Const<int64_t>(scope, 0), seen = feeds.first_sample;
  if (per_epoch > 0) {
    first_epoch = ops::FloorDiv(scope, feeds.first_sample, per_epoch);
    seen = ops::FloorMod(scope, feeds.first_sample, per_epoch);
  }
  const DatasetNode epochs =
      range(scope, first_epoch, options.num_epochs > 0 ? options.num_epochs : std::numeric_limits<int64_t>::max(), 1);
  const DatasetNode records = flat_map(
      scope, epochs,
      [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>& tensors) {
        return epoch.build(s, element[0], {tensors.begin(), tensors.end() - 1}, tensors.back());
      },
      captured.captured);
  const DatasetNode unseen =
      dataset_op(scope, &records, {.op = "MoxSkipSeenDataset", .inputs = {seen}, .types = {}, .shapes = {}});
  if (options.cache_dir.empty()) return unseen;
  return dataset_op(scope, &unseen,
                    {.op = "MoxHoldCacheDataset",
                     .inputs = {ops::Const(scope, tf::Input::Initializer(options.cache_dir)),
                                ops::Const(scope, options.remove_cache_on_finish)},
                     .types = {},
                     .shapes = {}});
}

namespace {

// What TensorFlow's parser would size its memory by, unchecked.
void check_feature(const std::string& key, const Feature& feature) {
  const std::string name = "feature " + key;
  if (feature.dtype != tf::DT_STRING && feature.dtype != tf::DT_INT64 && feature.dtype != tf::DT_FLOAT)
    throw InvalidArgumentError(name + " is " + tf::DataTypeString(feature.dtype) +
                               ", expected string, int64 or float, which are all that a tf.Example has");
  if (feature.var_len) return;
  check_integer("the number of dimensions of " + name, static_cast<int64_t>(feature.shape.size()), 0, kMostDimensions);
  double bytes = tf::DataTypeSize(feature.dtype) > 0 ? tf::DataTypeSize(feature.dtype) : sizeof(tf::tstring);
  for (const int64_t size : feature.shape) {
    check_integer("a size in the shape of " + name, size, 1, std::numeric_limits<int32_t>::max());
    bytes *= static_cast<double>(size);
  }
  check_fits_memory(name, bytes, "give the shape that the records have");
}

}  // namespace

ParsedFeatures parse_features(const Scope& scope, const tf::Output& record, const tf::Output& name,
                              const KeysToFeatures& features) {
  std::vector<tf::NodeBuilder::NodeOut> sparse_keys, dense_keys, defaults;
  tf::DataTypeVector sparse_types, dense_types;
  std::vector<tf::PartialTensorShape> shapes;
  std::vector<std::string> sparse, dense;
  const auto constant = [&](const tf::Tensor& value) {
    return tf::NodeBuilder::NodeOut(tf::Output(ops::Const(scope, value)).node());
  };
  ParsedFeatures parsed;
  for (const auto& [key, feature] : features) {
    if (key.empty()) {  // the record itself, for who parses it
      parsed[key] = record;
      continue;
    }
    check_feature(key, feature);
    tf::Tensor key_tensor(tf::DT_STRING, {});
    key_tensor.scalar<tf::tstring>()() = key;
    if (feature.var_len) {
      sparse.push_back(key);
      sparse_keys.push_back(constant(key_tensor));
      sparse_types.push_back(feature.dtype);
    } else {
      dense.push_back(key);
      dense_keys.push_back(constant(key_tensor));
      dense_types.push_back(feature.dtype);
      shapes.push_back(tf::PartialTensorShape(feature.shape));
      defaults.push_back(constant(default_of(key, feature)));
    }
  }
  if (sparse.empty() && dense.empty() && !parsed.empty()) return parsed;
  // The op that takes names puts them into its messages; it takes a batch.
  tf::NodeBuilder check(scope.GetUniqueNameForOp("check_example"), "MoxCheckExample");
  check.Input(record.node(), record.index()).Input(name.node(), name.index());
  const tf::Output one_record = ops::ExpandDims(scope, tf::Output(add_node(scope, check), 0), 0),
                   one_name = ops::ExpandDims(scope, name, 0);
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("parse"), "ParseExample");
  builder.Input(one_record.node())
      .Input(one_name.node())
      .Input(sparse_keys)
      .Input(dense_keys)
      .Input(defaults)
      .Attr("Nsparse", static_cast<int>(sparse.size()))
      .Attr("Ndense", static_cast<int>(dense.size()))
      .Attr("sparse_types", sparse_types)
      .Attr("Tdense", dense_types)
      .Attr("dense_shapes", shapes);
  tf::Node* node = add_node(scope, builder);
  // Outputs: indices, values and shapes of the sparse ones, then the dense ones.
  const int n = static_cast<int>(sparse.size());
  for (int i = 0; i < n; ++i) parsed[sparse[i]] = tf::Output(node, n + i);
  for (size_t i = 0; i < dense.size(); ++i)
    parsed[dense[i]] = ops::Squeeze(scope, tf::Output(node, 3 * n + static_cast<int>(i)), ops::Squeeze::Axis({0}));
  return parsed;
}

}  // namespace mox::data
