// Data sets on disk. Python functions in their pipelines are built as graphs, which are imported into the C++ ones.
#include "moxing/datasets.h"

#include <algorithm>

#include "data/dataset_options.h"
#include "graph/graph_state.h"
#include "graph/import_graph.h"
#include "graph/tensor_info.h"
#include "module.h"
#include "moxing/error.h"

namespace mox::python {
namespace {

using NamedTensors = std::vector<std::pair<std::string, tf::Output>>;

// A Python function [(name, dtype, shape)] -> (GraphDef, [InputTensor]), whose graph has the arguments as placeholders
// argument_0, argument_1, …. Shared, because copies of a std::function must not touch Python's count of references
// without the GIL.
class GraphFunction {
 public:
  explicit GraphFunction(nb::object function) : function_(std::make_shared<nb::object>(std::move(function))) {}

  std::vector<tf::Output> operator()(const Scope& scope, const NamedTensors& inputs) const {
    tf::GraphDef graph;
    std::vector<InputTensor> outputs;
    {
      nb::gil_scoped_acquire gil;
      nb::list list;
      for (const auto& [name, tensor] : inputs)
        list.append(nb::make_tuple(name, static_cast<int>(tensor.type()),
                                   to_list(tensor_info(scope.state().refiner, tensor).shape)));
      const auto built = nb::cast<nb::tuple>((*function_)(list));
      const auto text = nb::cast<nb::bytes>(built[0]);
      if (!graph.ParseFromArray(text.c_str(), static_cast<int>(text.size())))
        throw InvalidArgumentError("the graph of a Python function of the input pipeline cannot be parsed");
      outputs = nb::cast<std::vector<InputTensor>>(built[1]);
    }
    NamedTensors arguments;
    for (const auto& input : inputs)
      arguments.emplace_back("argument_" + std::to_string(arguments.size()), input.second);
    return import_graph(scope, graph, arguments, outputs);
  }

 private:
  std::shared_ptr<nb::object> function_;
};

PreprocessFn preprocess_function(const nb::object& function) {
  if (function.is_none()) return nullptr;
  return [call = GraphFunction(function)](const Scope& scope, const RawSample& sample) {
    const auto out = call(scope, {{"image_name", sample.image_name},
                                  {"image_buf", sample.image},
                                  {"label", sample.label},
                                  {"label_desc", sample.label_desc}});
    return RawSample{out[0], out[1], out[2], out[3]};
  };
}

AugmentationFn augmentation_function(const nb::object& function) {
  if (function.is_none()) return nullptr;
  return [call = GraphFunction(function)](const Scope& scope, const tf::Output& image) {
    return call(scope, {{"image", image}})[0];
  };
}

ItemHandler item_function(const nb::object& function) {
  return [call = GraphFunction(function)](const Scope& scope, const ParsedFeatures& features, const tf::Output&) {
    return call(scope, NamedTensors(features.begin(), features.end()))[0];
  };
}

// A data set whose items one Python function makes of all the features of a record.
class FunctionRecords : public BaseTFRecordDataset {
 public:
  FunctionRecords(const BaseTFRecordMetadata& metadata, KeysToFeatures features, std::vector<std::string> items,
                  const nb::object& function, const TFRecordDatasetOptions& options)
      : BaseTFRecordDataset(metadata, options),
        features_(std::move(features)),
        items_(std::move(items)),
        call_(function) {}
  std::vector<std::string> keys() const override { return items_; }

 protected:
  KeysToFeatures keys_to_features() const override { return features_; }
  std::vector<tf::Output> build_items(const Scope& scope, const std::vector<std::string>& keys,
                                      const ParsedFeatures& features, const tf::Output&) const override {
    const auto all = call_(scope, NamedTensors(features.begin(), features.end()));
    std::vector<tf::Output> outputs;
    for (const auto& key : keys)
      outputs.push_back(all.at(static_cast<size_t>(std::find(items_.begin(), items_.end(), key) - items_.begin())));
    return outputs;
  }

 private:
  KeysToFeatures features_;
  std::vector<std::string> items_;
  GraphFunction call_;
};

Feature make_feature(int dtype, std::vector<int64_t> shape, bool var_len,
                     const std::optional<nb::bytes>& default_value) {
  Feature feature{static_cast<tf::DataType>(dtype), std::move(shape), var_len, std::nullopt};
  if (default_value) {
    tf::TensorProto proto;
    tf::Tensor value;
    if (!proto.ParseFromArray(default_value->c_str(), static_cast<int>(default_value->size())) ||
        !value.FromProto(proto))
      throw InvalidArgumentError("the default value of a feature is no tensor");
    feature.default_value = value;
  }
  return feature;
}

// The fields that the table of data set options has for this struct; its class attribute `options` names them. What
// Python gives as a function of its own, or as another type, goes through a set_… method.
template <typename Options>
nb::class_<Options> bind_options(nb::module_& m, const char* class_name) {
  nb::class_<Options> c(m, class_name);
  c.def(nb::init<>());
  nb::list names;
  data::for_each_option<Options>([&](const OptionInfo& line, auto member) {
    using T = std::remove_reference_t<decltype(std::declval<Options&>().*member)>;
    names.append(describe(line));
    const std::string setter = std::string("set_") + line.name;
    if constexpr (std::is_same_v<T, PreprocessFn>)
      c.def(setter.c_str(), [member](Options& o, const nb::object& f) { o.*member = preprocess_function(f); });
    else if constexpr (std::is_same_v<T, AugmentationFn>)
      c.def(setter.c_str(), [member](Options& o, const nb::object& f) { o.*member = augmentation_function(f); });
    else if constexpr (std::is_same_v<T, std::optional<ImageSize>>)
      c.def(setter.c_str(), [member](Options& o, int64_t h, int64_t w) { o.*member = ImageSize{h, w}; });
    else if constexpr (std::is_same_v<T, std::vector<Feature>>)
      c.def(setter.c_str(), [member](Options& o, std::vector<Feature> v) { o.*member = std::move(v); });
    else
      c.def_rw(line.name, member);
  });
  c.attr("options") = names;
  return c;
}

void bind_all_options(nb::module_& m) {
  bind_options<DatasetOptions>(m, "DatasetOptions");
  bind_options<TFRecordDatasetOptions>(m, "TFRecordDatasetOptions");
  bind_options<ImageTFRecordDatasetOptions>(m, "ImageTFRecordDatasetOptions");
  bind_options<RawDatasetOptions>(m, "RawDatasetOptions");
  bind_options<MultilabelDatasetOptions>(m, "MultilabelDatasetOptions");
  nb::class_<Feature>(m, "Feature");  // NOLINT(bugprone-unused-raii): making it registers the class
  m.def("feature", &make_feature, nb::arg("dtype"), nb::arg("shape"), nb::arg("var_len"), nb::arg("default").none());
  nb::class_<ItemHandler>(m, "ItemHandler");  // NOLINT(bugprone-unused-raii): as above
  m.def("tensor_handler", &tensor_handler);
  m.def("image_handler", [](const std::string& feature, const std::optional<std::pair<int64_t, int64_t>>& size) {
    return image_handler(feature, size ? std::optional(ImageSize{size->first, size->second}) : std::nullopt);
  });
  m.def("item_function", &item_function);
}

// Reading a folder or a header a file takes time: without the GIL.
using WithoutGil = nb::call_guard<nb::gil_scoped_release>;

template <typename Metadata, typename Class>
void bind_classes(Class& c) {
  c.def_prop_ro("num_classes", &Metadata::num_classes)
      .def_prop_ro("labels_list", &Metadata::labels_list)
      .def_prop_ro("names_to_labels", &Metadata::names_to_labels)
      .def_prop_ro("labels_to_names", &Metadata::labels_to_names)
      .def_prop_ro("total_num_samples", &Metadata::total_num_samples);
}

void bind_metadata(nb::module_& m) {
  nb::class_<ImageClassificationRawMetadata> raw(m, "RawMetadata");
  bind_classes<ImageClassificationRawMetadata>(raw);
  raw.def(
      "__init__",
      [](ImageClassificationRawMetadata* self, const std::string& base_dir, const std::string& redirect_dir,
         const std::string& labels_filename) {
        new (self) ImageClassificationRawMetadata(base_dir,
                                                  {.redirect_dir = redirect_dir, .labels_filename = labels_filename});
      },
      WithoutGil());
  nb::class_<MultilabelClassificationRawMetadata> multilabel(m, "MultilabelMetadata");
  bind_classes<MultilabelClassificationRawMetadata>(multilabel);
  multilabel.def(
      "__init__",
      [](MultilabelClassificationRawMetadata* self, const std::string& base_dir, const std::string& images_sub_dir,
         const std::string& labels_sub_dir, const std::string& labels_extension, const std::string& redirect_dir,
         const std::string& labels_filename) {
        new (self) MultilabelClassificationRawMetadata(base_dir, {.images_sub_dir = images_sub_dir,
                                                                  .labels_sub_dir = labels_sub_dir,
                                                                  .labels_extension = labels_extension,
                                                                  .redirect_dir = redirect_dir,
                                                                  .labels_filename = labels_filename});
      },
      WithoutGil());
  nb::class_<BaseTFRecordMetadata>(m, "TFRecordMetadata")
      .def(
          "__init__",
          [](BaseTFRecordMetadata* self, const std::string& base_dir, const std::vector<std::string>& file_patterns,
             int64_t num_samples, const std::string& redirect_dir) {
            new (self) BaseTFRecordMetadata(base_dir, file_patterns,
                                            {.redirect_dir = redirect_dir, .num_samples = num_samples});
          },
          WithoutGil())
      .def_prop_ro("total_num_samples", &BaseTFRecordMetadata::total_num_samples);
  nb::class_<ImageClassificationTFRecordMetadata, BaseTFRecordMetadata> images(m, "ImageTFRecordMetadata");
  bind_classes<ImageClassificationTFRecordMetadata>(images);
  images.def(
      "__init__",
      [](ImageClassificationTFRecordMetadata* self, const std::string& base_dir,
         const std::vector<std::string>& file_patterns, int64_t num_samples, const std::string& redirect_dir,
         int64_t num_classes, const std::string& label_map_file) {
        ImageTFRecordMetadataOptions options;
        options.num_samples = num_samples;
        options.redirect_dir = redirect_dir;
        options.num_classes = num_classes;
        options.label_map_file = label_map_file;
        new (self) ImageClassificationTFRecordMetadata(base_dir, file_patterns, options);
      },
      WithoutGil());
}

// The data set of this metadata and these options.
template <typename DatasetClass, typename Metadata, typename Options>
void bind_maker(nb::module_& m, const char* name) {
  m.def(
      name,
      [](const Metadata& metadata, const Options& options) -> std::unique_ptr<Dataset> {
        return std::make_unique<DatasetClass>(metadata, options);
      },
      WithoutGil());
}

void bind_conversion(nb::module_& m) {
  m.def(
      "split_dataset",
      [](const SplitSpec& spec, const std::string& src_dir, const std::string& dst_dir, bool overwrite) {
        return split_image_classification_dataset(spec, src_dir, dst_dir, overwrite);
      },
      WithoutGil());
  const auto summary = [](const ConvertSummary& s) { return std::tuple(s.samples, s.files, s.broken); };
  m.def(
      "folders_to_tfrecord",
      [summary](const std::string& src_dir, const std::string& dst_dir, const std::string& prefix, int64_t num_shards,
                int64_t max_broken_samples, bool shuffle, bool overwrite) {
        return summary(
            folders_to_tfrecord(src_dir, dst_dir, {prefix, num_shards, max_broken_samples, shuffle, overwrite}));
      },
      WithoutGil());
  m.def(
      "tfrecord_to_folders",
      [summary](const std::string& src_dir, const std::string& file_pattern, const std::string& dst_dir,
                int64_t max_broken_samples, bool overwrite) {
        ConvertOptions options;
        options.overwrite = overwrite;
        options.max_broken_samples = max_broken_samples;
        return summary(tfrecord_to_folders(src_dir, file_pattern, dst_dir, options));
      },
      WithoutGil());
}

}  // namespace

void bind_datasets(nb::module_& m) {
  bind_all_options(m);
  bind_metadata(m);
  bind_maker<ImageClassificationRawDataset, ImageClassificationRawMetadata, RawDatasetOptions>(m, "raw_dataset");
  bind_maker<MultilabelClassificationRawDataset, MultilabelClassificationRawMetadata, MultilabelDatasetOptions>(
      m, "multilabel_dataset");
  bind_maker<ImageClassificationTFRecordDataset, ImageClassificationTFRecordMetadata, ImageTFRecordDatasetOptions>(
      m, "image_tfrecord_dataset");
  bind_maker<ImageClassificationTFRecordDataset, BaseTFRecordMetadata, ImageTFRecordDatasetOptions>(
      m, "image_tfrecord_dataset");
  m.def("tfrecord_dataset",
        [](const BaseTFRecordMetadata& metadata, const KeysToFeatures& features, const ItemsToHandlers& items,
           const TFRecordDatasetOptions& options) -> std::unique_ptr<Dataset> {
          return std::make_unique<BaseTFRecordDataset>(metadata, features, items, options);
        });
  m.def("tfrecord_dataset_of_function",
        [](const BaseTFRecordMetadata& metadata, const KeysToFeatures& features, std::vector<std::string> items,
           const nb::object& function, const TFRecordDatasetOptions& options) -> std::unique_ptr<Dataset> {
          return std::make_unique<FunctionRecords>(metadata, features, std::move(items), function, options);
        });
  bind_conversion(m);
}

}  // namespace mox::python
