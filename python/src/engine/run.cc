// The run: Python builds a BuiltGraph, C++ runs it.
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <thread>

#include "input/lift_input.h"
#include "module.h"
#include "moxing/error.h"
#include "run/checkpoint_loader.h"
#include "run/engine.h"
#include "run/run_classes.h"
#include "run/signals.h"

namespace mox::python {
namespace {

tf::GraphDef parse_graph(const nb::bytes& bytes) {
  tf::GraphDef graph;
  if (!graph.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Error("the graph of " + std::to_string(bytes.size()) +
                " bytes cannot be read; a graph must stay under 2 GB: "
                "feed large arrays through tf.data rather than constants");
  return graph;
}

tf::DataType to_dtype(int number) { return static_cast<tf::DataType>(number); }

InputTensor make_input_tensor(const std::string& name, int dtype, const ShapeList& shape) {
  return {name, to_dtype(dtype), to_shape(shape)};
}

LiftedInput lift(const nb::bytes& graph, std::vector<InputTensor> outputs, Feeds feeds,
                 std::vector<std::string> initializers, bool auto_batch, int64_t batch_size, bool drop_remainder,
                 int num_towers, const std::string& name) {
  const InputGraph input{parse_graph(graph), std::move(outputs), std::move(feeds), std::move(initializers)};
  LiftOptions options;
  options.auto_batch = auto_batch;
  options.batch_size = batch_size;
  options.drop_remainder = drop_remainder;
  options.num_towers = num_towers;
  options.name = name;
  options.parallelism = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  nb::gil_scoped_release release;
  return lift_input(input, options);
}

VariableInfo make_variable(std::string name, std::string handle, std::string initializer, int dtype,
                           const std::vector<int64_t>& shape, bool trainable) {
  return {std::move(name), std::move(handle),      std::move(initializer),
          to_dtype(dtype), tf::TensorShape(shape), trainable};
}

OutputFn output_fn_of(const nb::object& deliver, const nb::object& new_array) {
  return [&deliver, &new_array](const std::vector<OutputDict>& outputs) {
    nb::gil_scoped_acquire gil;
    nb::list dicts;
    for (const OutputDict& output : outputs) {
      nb::dict dict;
      for (const auto& [name, tensor] : output) dict[name.c_str()] = to_numpy(tensor, new_array);
      dicts.append(dict);
    }
    deliver(dicts);
  };
}

FetchStrategyFn fetch_strategy_of(const nb::object& decide) {
  return [&decide](int64_t step, const StepFetches& planned) {
    nb::gil_scoped_acquire gil;
    const auto [log_info, summaries, output_info] =
        nb::cast<std::tuple<bool, bool, bool>>(decide(step, planned.log_info, planned.summaries, planned.output_info));
    return StepFetches{log_info, summaries, output_info};
  };
}

RunResult run_graph(BuiltGraph& graph, BuiltGraph* export_graph, RunConfig config, const nb::object& output_fn,
                    const nb::object& new_array, const nb::object& fetch_strategy) {
  if (!fetch_strategy.is_none()) config.fetch_strategy_fn = fetch_strategy_of(fetch_strategy);
  if (!output_fn.is_none()) config.output_fn = output_fn_of(output_fn, new_array);
  std::optional<BuiltGraph> exported;
  if (export_graph) exported = std::move(*export_graph);
  nb::gil_scoped_release release;
  return run_built_graph(std::move(graph), std::move(exported), config);
}

void bind_built_graph(nb::module_& m) {
  nb::class_<NamedTensor>(m, "NamedTensor")
      .def("__init__", [](NamedTensor* self, std::string name, std::string tensor) {
        new (self) NamedTensor{std::move(name), std::move(tensor)};
      });
  nb::class_<VariableInfo>(m, "VariableInfo")
      .def("__init__",
           [](VariableInfo* self, std::string name, std::string handle, std::string initializer, int dtype,
              const std::vector<int64_t>& shape, bool trainable) {
             new (self) VariableInfo(
                 make_variable(std::move(name), std::move(handle), std::move(initializer), dtype, shape, trainable));
           })
      .def_ro("name", &VariableInfo::name);
  nb::class_<TowerInfo>(m, "TowerInfo")
      .def(nb::init<>())
      .def_rw("inputs", &TowerInfo::inputs)
      .def_rw("losses", &TowerInfo::losses)
      .def_rw("log_info", &TowerInfo::log_info)
      .def_rw("output_info", &TowerInfo::output_info)
      .def_rw("hooks", &TowerInfo::hooks);
  nb::class_<GradientSlot>(m, "GradientSlot")
      .def("__init__", [](GradientSlot* self, std::string slot, std::string variable,
                          std::vector<std::string> gradients, int loss) {
        new (self) GradientSlot{std::move(slot), std::move(variable), std::move(gradients), loss};
      });
  nb::class_<BuiltGraph>(m, "BuiltGraph")
      .def("__init__",
           [](BuiltGraph* self, const std::string& mode) {
             new (self) BuiltGraph();
             self->mode = parse_mode(mode);
           })
      .def("set_graph", [](BuiltGraph& self, const nb::bytes& graph) { self.graph = parse_graph(graph); })
      .def(
          "set_export_info",
          [](BuiltGraph& self, std::vector<NamedTensor> inputs, std::vector<NamedTensor> outputs, std::string version) {
            self.export_info = {std::move(inputs), std::move(outputs), std::move(version)};
          })
      .def("set_inter",
           [](BuiltGraph& self, const std::string& mode, std::vector<std::shared_ptr<SessionRunHook>> hooks,
              std::string restart_input, Feeds feeds) {
             self.inter = {parse_mode(mode), std::move(hooks), std::move(restart_input), std::move(feeds)};
           })
      .def("set_scaled_gradients",
           [](BuiltGraph& self, std::string scale, std::vector<std::string> gradients) {
             self.scaled_gradients = {std::move(scale), std::move(gradients)};
           })
      .def_rw("increment", &BuiltGraph::increment)
      .def_rw("variables", &BuiltGraph::variables)
      .def_rw("towers", &BuiltGraph::towers)
      .def_rw("gradients", &BuiltGraph::gradients)
      .def_rw("train_ops", &BuiltGraph::train_ops)
      .def_rw("global_step", &BuiltGraph::global_step)
      .def_rw("learning_rates", &BuiltGraph::learning_rates)
      .def_rw("summaries", &BuiltGraph::summaries)
      .def_rw("initializers", &BuiltGraph::initializers)
      .def_rw("feeds", &BuiltGraph::feeds)
      .def_rw("class_names", &BuiltGraph::class_names)
      .def_rw("samples_per_step", &BuiltGraph::samples_per_step);
}

// A field of the table of run options; functions are Python's own affair. Modes are their names.
template <typename T, typename Class>
void bind_option(Class& c, const char* name, T RunOptions::*field) {
  if constexpr (std::is_same_v<T, ModeKeys> || std::is_same_v<T, std::optional<ModeKeys>>) {
    c.def_prop_rw(
        name,
        [field](const RunConfig& self) {
          const std::optional<ModeKeys> mode = self.*field;
          return mode ? std::optional<std::string>(to_string(*mode)) : std::nullopt;
        },
        [field](RunConfig& self, const std::string& mode) { self.*field = parse_mode(mode); });
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string> ||
                       std::is_same_v<T, std::optional<double>>) {
    c.def_rw(name, field);
  }
}

void bind_config(nb::module_& m) {
  nb::class_<RunConfig> config(m, "RunConfig");
  config.def(nb::init<>())
      .def_ro("num_gpus", &RunConfig::num_gpus)
      .def_ro("loss_scale", &RunConfig::loss_scale)
      .def_prop_ro("scales_loss", &RunConfig::scales_loss)
      // Flags, then all that can be checked before a graph is built.
      .def("check", [](RunConfig& self, bool has_output_fn) {
        nb::gil_scoped_release release;
        apply_flags(&self);
        RunConfig checked = self;
        if (has_output_fn) checked.output_fn = [](const std::vector<OutputDict>&) {};
        validate(checked);
      });
#define MOX_RUN_OPTION(type, name, ...) bind_option(config, #name, &RunOptions::name);
#include "moxing/run_options.inc"
  nb::class_<RunResult>(m, "RunResult")
      .def_ro("steps", &RunResult::steps)
      .def_ro("global_step", &RunResult::global_step)
      .def_ro("metrics", &RunResult::metrics)
      .def_ro("checkpoint", &RunResult::checkpoint)
      .def_ro("export_dir", &RunResult::export_dir)
      .def_ro("interrupted", &RunResult::interrupted);
}

}  // namespace

void bind_run(nb::module_& m) {
  nb::class_<tf::Tensor>(m, "Tensor");  // opaque: what feeds carry
  m.def("to_array", &to_numpy, "the tensor's values; a scalar as numpy's");
  nb::class_<InputTensor>(m, "InputTensor")
      .def(
          "__init__",
          [](InputTensor* self, const std::string& name, int dtype, const ShapeList& shape) {
            new (self) InputTensor(make_input_tensor(name, dtype, shape));
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("shape").none())
      .def_ro("name", &InputTensor::name)
      .def_prop_ro("dtype", [](const InputTensor& self) { return static_cast<int>(self.dtype); })
      .def_prop_ro("shape", [](const InputTensor& self) { return to_list(self.shape); });
  nb::class_<LiftedInput>(m, "LiftedInput")
      .def_prop_ro("graph", [](const LiftedInput& self) { return to_bytes(self.graph); })
      .def_ro("tower_inputs", &LiftedInput::tower_inputs)
      .def_ro("batch", &LiftedInput::batch)
      .def_ro("initializers", &LiftedInput::initializers)
      .def_ro("feeds", &LiftedInput::feeds);
  m.def("lift_input", &lift);
  bind_built_graph(m);
  bind_config(m);
  // Takes the graphs: they are empty afterwards.
  m.def("run_built_graph", &run_graph, nb::arg("graph"), nb::arg("export_graph").none(), nb::arg("config"),
        nb::arg("output_fn").none(), nb::arg("new_array"), nb::arg("fetch_strategy").none());
  m.def("trainable", [](const std::string& name, const std::string& include, const std::string& exclude) {
    return matches_patterns(name, split_patterns(include), split_patterns(exclude));
  });
  m.def("check_task_index", &check_task_index);
  m.def("check_same_run_classes", &check_same_run_classes);
  m.def("received_signal", &SignalGuard::received);
}

}  // namespace mox::python
