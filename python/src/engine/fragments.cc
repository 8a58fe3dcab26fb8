// What is written once, in C++, and imported into Python's graphs.
#include "graph/built_graph.h"
#include "graph/fragment.h"
#include "graph/graph_state.h"
#include "graph/tensor_info.h"
#include "module.h"
#include "moxing/dataset.h"
#include "moxing/learning_rate_scheduler.h"
#include "moxing/losses.h"
#include "moxing/mixing.h"
#include "moxing/nets.h"
#include "moxing/preprocessing.h"
#include "tensorflow/cc/ops/array_ops.h"

namespace mox::python {
namespace {

// A fragment and the tensors that its maker returned, by name.
struct NamedFragment {
  Fragment fragment;
  std::vector<std::pair<std::string, std::string>> outputs;
};

// An empty graph with one placeholder, `input`, of the tensor that the fragment will be given.
struct Workbench {
  Workbench(int dtype, const ShapeList& shape, int64_t seed) : scope(seeded(seed)) {
    input = tf::ops::Placeholder(scope.WithOpName("input"), static_cast<tf::DataType>(dtype),
                                 tf::ops::Placeholder::Shape(to_shape(shape)));
  }
  static Scope seeded(int64_t seed) {
    Scope scope = Scope::new_root();
    scope.state().seed = seed;
    return scope;
  }
  NamedFragment finish(const std::vector<std::pair<std::string, tf::Output>>& outputs) const {
    NamedFragment result{make_fragment(scope, {input}), {}};
    for (const auto& [name, output] : outputs) result.outputs.emplace_back(name, tensor_name(output));
    return result;
  }
  Scope scope;
  tf::Output input;
};

NamedFragment network(const std::string& name, const std::string& mode, int num_classes, const ModelFnOptions& options,
                      int dtype, const ShapeList& shape, int force_dtype, int64_t seed, const std::string& device) {
  nb::gil_scoped_release release;
  const Workbench bench(dtype, shape, seed);
  const Scope placed = bench.scope.tower("", device);
  const Scope scope = force_dtype ? placed.var_scope(static_cast<tf::DataType>(force_dtype)) : placed;
  const NetworkOutput output = get_model_fn(name, parse_mode(mode), num_classes, options)(scope, bench.input);
  std::vector<std::pair<std::string, tf::Output>> outputs{{"", output.logits}};
  outputs.insert(outputs.end(), output.end_points.begin(), output.end_points.end());
  return bench.finish(outputs);
}

NamedFragment augmentation(const std::string& name, const std::string& mode, int height, int width,
                           const AugmentationOptions& options, int dtype, const ShapeList& shape, int64_t seed) {
  nb::gil_scoped_release release;
  const Workbench bench(dtype, shape, seed);
  return bench.finish(
      {{"", get_data_augmentation_fn(name, parse_mode(mode), height, width, options)(bench.scope, bench.input)}});
}

NamedFragment mixed_batch(const MixOptions& options, const ShapeList& images, const ShapeList& labels, int64_t seed) {
  nb::gil_scoped_release release;
  const Workbench bench(tf::DT_FLOAT, images, seed);
  const tf::Output second = tf::ops::Placeholder(bench.scope.WithOpName("input_1"), tf::DT_FLOAT,
                                                 tf::ops::Placeholder::Shape(to_shape(labels)));
  const MixedBatch mixed = mix_batch(bench.scope, bench.input, second, options);
  NamedFragment result{make_fragment(bench.scope, {bench.input, second}), {}};
  result.outputs = {{"images", tensor_name(mixed.images)}, {"labels", tensor_name(mixed.labels)}};
  return result;
}

NamedFragment piecewise_lr(const std::string& strategy, int64_t num_samples, int64_t global_batch_size) {
  const Scope scope = Scope::new_root();
  const tf::Output rate = learning_rate_scheduler::piecewise_lr(scope, strategy, num_samples, global_batch_size);
  return {make_fragment(scope, {}), {{"", tensor_name(rate)}}};
}

namespace schedule = learning_rate_scheduler;

// The schedules follow the step that they are given: the fragment's input, an int64 scalar.
template <typename Options>
NamedFragment scheduled(Options options, tf::Output (*make)(const Scope&, const Options&)) {
  const Workbench bench(tf::DT_INT64, std::vector<int64_t>{}, 0);
  options.global_step = bench.input;
  return bench.finish({{"", make(bench.scope, options)}});
}

NamedFragment polynomial_decay(double max_lr, double min_lr, int64_t max_step, double warmup, double decay_end,
                               double power) {
  return scheduled<schedule::PolynomialDecay>({max_lr, min_lr, max_step, warmup, decay_end, power, {}},
                                              &schedule::polynomial_decay);
}

NamedFragment cosine_decay(double max_lr, double min_lr, int64_t max_step, double warmup, double warmup_lr) {
  return scheduled<schedule::CosineDecay>({max_lr, min_lr, max_step, warmup, warmup_lr, {}}, &schedule::cosine_decay);
}

NamedFragment dataset_fragment(Dataset& dataset, const std::vector<std::string>& keys, int64_t seed) {
  nb::gil_scoped_release release;
  const Scope scope = Workbench::seeded(seed);
  const std::vector<tf::Output> outputs = dataset.get(scope, keys);
  NamedFragment result{make_fragment(scope, {}), {}};
  for (size_t i = 0; i < keys.size(); ++i) result.outputs.emplace_back(keys[i], tensor_name(outputs[i]));
  return result;
}

void bind_fragment(nb::module_& m) {
  nb::class_<NamedFragment>(m, "Fragment")
      .def_prop_ro("graph", [](const NamedFragment& self) { return to_bytes(self.fragment.graph); })
      .def_prop_ro("initializers", [](const NamedFragment& self) { return to_bytes(self.fragment.initializers); })
      .def_prop_ro(
          "variables",
          [](const NamedFragment& self) {
            nb::list list;
            for (const FragmentVariable& v : self.fragment.variables)
              list.append(nb::make_tuple(v.name, v.handle, v.initial_value, static_cast<int>(v.dtype),
                                         *to_list(tf::PartialTensorShape(v.shape.dim_sizes())), v.trainable));
            return list;
          },
          "(name, handle, initial value, dtype, shape, trainable) each")
      .def_prop_ro("update_ops", [](const NamedFragment& self) { return self.fragment.update_ops; })
      .def_prop_ro("summaries", [](const NamedFragment& self) { return self.fragment.summaries; })
      .def_prop_ro(
          "regularization_losses",
          [](const NamedFragment& self) {
            nb::list list;
            for (const RegularizationLoss& loss : self.fragment.regularization_losses)
              list.append(nb::make_tuple(loss.tensor, loss.variables));
            return list;
          },
          "(tensor, variables) each")
      .def_prop_ro("feeds", [](const NamedFragment& self) { return self.fragment.feeds; })
      .def_prop_ro("iterator_initializers",
                   [](const NamedFragment& self) { return self.fragment.iterator_initializers; })
      .def_prop_ro("class_names", [](const NamedFragment& self) { return self.fragment.class_names; })
      .def_ro("outputs", &NamedFragment::outputs, "(name, tensor) each");
}

void bind_fragment_options(nb::module_& m) {
  nb::class_<ModelFnOptions>(m, "ModelFnOptions")
      .def(nb::init<>())
      .def_rw("weight_decay", &ModelFnOptions::weight_decay)
      .def_rw("data_format", &ModelFnOptions::data_format)
      .def_rw("batch_norm_fused", &ModelFnOptions::batch_norm_fused)
      .def_rw("batch_renorm", &ModelFnOptions::batch_renorm)
      .def_rw("image_height", &ModelFnOptions::image_height)
      .def_rw("image_width", &ModelFnOptions::image_width)
      .def_rw("preprocess", &ModelFnOptions::preprocess)
      .def_rw("batch_norm_decay", &ModelFnOptions::batch_norm_decay)
      .def_rw("dropout_keep_prob", &ModelFnOptions::dropout_keep_prob)
      .def_rw("drop_path_keep_prob", &ModelFnOptions::drop_path_keep_prob);
  nb::class_<AugmentationOptions>(m, "AugmentationOptions")
      .def(nb::init<>())
      .def_rw("resize_side_min", &AugmentationOptions::resize_side_min)
      .def_rw("resize_side_max", &AugmentationOptions::resize_side_max)
      .def_rw("fast_mode", &AugmentationOptions::fast_mode)
      .def_rw("central_fraction", &AugmentationOptions::central_fraction)
      .def_rw("area_min", &AugmentationOptions::area_min)
      .def_rw("padding", &AugmentationOptions::padding)
      .def_rw("augment", &AugmentationOptions::augment)
      .def_rw("crop_scale", &AugmentationOptions::crop_scale)
      .def_rw("hflip", &AugmentationOptions::hflip)
      .def_rw("vflip", &AugmentationOptions::vflip)
      .def_rw("color_jitter", &AugmentationOptions::color_jitter)
      .def_rw("random_erasing", &AugmentationOptions::random_erasing);
  nb::class_<MixOptions>(m, "MixOptions")
      .def(nb::init<>())
      .def_rw("mixup", &MixOptions::mixup)
      .def_rw("cutmix", &MixOptions::cutmix);
  nb::class_<schedule::ScheduleOptions>(m, "ScheduleOptions")
      .def(nb::init<>())
      .def_rw("schedule", &schedule::ScheduleOptions::schedule)
      .def_rw("learning_rate", &schedule::ScheduleOptions::learning_rate)
      .def_rw("num_epochs", &schedule::ScheduleOptions::num_epochs)
      .def_rw("warmup_epochs", &schedule::ScheduleOptions::warmup_epochs)
      .def_rw("end_learning_rate", &schedule::ScheduleOptions::end_learning_rate)
      .def_rw("decay_epochs", &schedule::ScheduleOptions::decay_epochs)
      .def_rw("decay_factor", &schedule::ScheduleOptions::decay_factor);
}

}  // namespace

void bind_fragments(nb::module_& m) {
  bind_fragment(m);
  bind_fragment_options(m);
  m.def("network", &network, nb::arg("name"), nb::arg("mode"), nb::arg("num_classes"), nb::arg("options"),
        nb::arg("dtype"), nb::arg("shape").none(), nb::arg("force_dtype"), nb::arg("seed"), nb::arg("device"));
  m.def("augmentation", &augmentation, nb::arg("name"), nb::arg("mode"), nb::arg("height"), nb::arg("width"),
        nb::arg("options"), nb::arg("dtype"), nb::arg("shape").none(), nb::arg("seed"));
  m.def("mix_batch", &mixed_batch, nb::arg("options"), nb::arg("images").none(), nb::arg("labels").none(),
        nb::arg("seed"));
  m.def("balanced_class_weights", &losses::balanced_class_weights);
  m.def("schedule_strategy", &schedule::schedule_strategy);
  m.def("piecewise_lr", &piecewise_lr);
  m.def("polynomial_decay", &polynomial_decay);
  m.def("cosine_decay", &cosine_decay);
  m.def("network_names", &network_names);
  m.def(
      "check_network",
      [](const std::string& name, const std::string& mode, int num_classes, const ModelFnOptions& options) {
        get_model_fn(name, parse_mode(mode), num_classes, options);
      },
      "raises for arguments that cannot work");
  m.def("check_augmentation", [](const std::string& name, const std::string& mode, int height, int width,
                                 const AugmentationOptions& options) {
    get_data_augmentation_fn(name, parse_mode(mode), height, width, options);
  });
  m.def("model_meta", [](const std::string& name) {
    const ModelMeta meta = get_model_meta(name);
    return nb::make_tuple(meta.default_image_size, meta.default_labels_offset, meta.default_logits_pattern,
                          meta.default_channels);
  });
  m.def("preprocessing_names", &preprocessing_names);
  m.def("preprocessing_meta", [](const std::string& name) {
    const PreprocessingMeta meta = get_preprocessing_meta(name);
    return nb::make_tuple(meta.family, meta.default_image_size);
  });
  m.def("dataset_meta", [](const std::string& name) {
    const DatasetMeta meta = get_dataset_meta(name);
    return nb::make_tuple(meta.name, meta.splits_to_sizes, meta.num_classes, meta.image_shape, meta.class_names);
  });
  nb::class_<Dataset>(m, "Dataset")
      .def("fragment", &dataset_fragment)
      .def("keys", &Dataset::keys)
      .def("num_samples", &Dataset::num_samples)
      .def("class_names", &Dataset::class_names);
  m.def("get_dataset",
        [](const std::string& name, const std::string& split, const std::string& dir, const DatasetOptions& options) {
          nb::gil_scoped_release release;
          return get_dataset(name, split, dir, options);
        });
}

}  // namespace mox::python
