// The run: its options, and the engine that runs what graph_assembly.cc gathered.
#include <memory>

#include "module.h"
#include "moxing/error.h"
#include "moxing/lr_find.h"
#include "run/engine.h"
#include "run/new_folders.h"
#include "run/ps_process.h"
#include "run/signals.h"

namespace mox::python {
namespace {

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
  nb::class_<DevicePlan>(m, "DevicePlan", "see src/devices/device_plan.h")
      .def(
          "__init__",
          [](DevicePlan* self, int num_towers, int pretended_gpus) {
            new (self) DevicePlan(num_towers, false, Machine{.gpus = pretended_gpus, .pretended = true});
          },
          nb::arg("num_towers"), nb::arg("pretended_gpus"), "for tests: a machine with GPUs that are not there")
      .def("tower", &DevicePlan::tower)
      .def("with_copies", &DevicePlan::with_copies)
      .def("variables", &DevicePlan::variables)
      .def("inter", &DevicePlan::inter)
      .def("host", &DevicePlan::host)
      .def_prop_ro("on_gpus", &DevicePlan::on_gpus);
  m.def(
      "count_gpus", [] { return this_machine().gpus; }, "that TensorFlow finds; makes no device");
  nb::class_<NewFolders>(m, "NewFolders", "see src/run/new_folders.h").def("remove_empty", &NewFolders::remove_empty);
  nb::class_<RunConfig> config(m, "RunConfig");
  config.def(nb::init<>())
      .def_ro("num_gpus", &RunConfig::num_gpus)
      .def_prop_ro("is_ps", [](const RunConfig& self) { return self.cluster.is_ps; })
      .def_rw("devices", &RunConfig::devices)
      .def_ro("loss_scale", &RunConfig::loss_scale)
      .def_prop_ro("scales_loss", &RunConfig::scales_loss)
      // Flags, then all that can be checked before a graph is built. Returns what removes log_dir if it stays empty.
      .def("check", [](RunConfig& self, bool has_output_fn) {
        nb::gil_scoped_release release;
        apply_flags(&self);
        auto folders = std::make_unique<NewFolders>(self);
        RunConfig checked = self;
        if (has_output_fn) checked.output_fn = [](const std::vector<OutputDict>&) {};
        validate(checked);
        return folders;
      });
#define MOX_RUN_OPTION(type, name, ...) bind_option(config, #name, &RunOptions::name);
#include "moxing/run_options.inc"
  nb::class_<RunResult>(m, "RunResult")
      .def_ro("steps", &RunResult::steps)
      .def_ro("global_step", &RunResult::global_step)
      .def_ro("metrics", &RunResult::metrics)
      .def_ro("checkpoint", &RunResult::checkpoint)
      .def_ro("export_dir", &RunResult::export_dir)
      .def_ro("interrupted", &RunResult::interrupted)
      .def_ro("validation", &RunResult::validation)
      .def_prop_ro("best_validation", [](const RunResult& self) {
        using Best = std::tuple<std::string, double, int64_t>;
        std::optional<Best> best;
        if (const auto& known = self.best_validation) best.emplace(known->metric, known->value, known->global_step);
        return best;
      });
}

}  // namespace

void bind_run(nb::module_& m) {
  nb::class_<tf::Tensor>(m, "Tensor");  // NOLINT(bugprone-unused-raii): opaque, what feeds carry
  m.def("to_array", &to_numpy, "the tensor's values; a scalar as numpy's");
  bind_config(m);
  // Takes the graphs: they are empty afterwards.
  m.def("run_built_graph", &run_graph, nb::arg("graph"), nb::arg("export_graph").none(), nb::arg("config"),
        nb::arg("output_fn").none(), nb::arg("new_array"), nb::arg("fetch_strategy").none());
  m.def("run_as_ps", &run_as_ps, nb::call_guard<nb::gil_scoped_release>());
  m.def("judge_learning_rates", [](const std::vector<double>& rates, const std::vector<double>& losses) {
    const LrFindResult result = judge_learning_rates(rates, losses);
    nb::list points;
    for (const LrFindPoint& point : result.points)
      points.append(nb::make_tuple(point.learning_rate, point.loss, point.smoothed));
    return nb::make_tuple(points, result.suggestion);
  });
  m.def("received_signal", &SignalGuard::received);
}

}  // namespace mox::python
