// The graph of a run: what Python's front end tells the engine of it. Python: moxing/tensorflow/executor.
#include "run/graph_assembly.h"

#include <nanobind/stl/shared_ptr.h>

#include "module.h"
#include "moxing/error.h"
#include "passes/passes.h"
#include "run/function_checks.h"
#include "run/model_checks.h"

namespace mox::python {
namespace {

constexpr Language kLanguage = Language::kPython;

using NamedValues = std::vector<NamedReturned>;
using Hooks = std::vector<std::shared_ptr<SessionRunHook>>;
using GradientPairs = std::vector<std::pair<std::string, std::string>>;  // variable, tensor

tf::GraphDef parse_graph(const nb::bytes& bytes) {
  tf::GraphDef graph;
  if (!graph.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Error("the graph of " + std::to_string(bytes.size()) +
                " bytes cannot be read; a graph must stay under 2 GB: "
                "feed large arrays through tf.data rather than constants");
  return graph;
}

NamedGradients to_gradients(const GradientPairs& pairs) {
  NamedGradients gradients;
  for (const auto& [variable, tensor] : pairs) gradients.push_back({variable, tensor});
  return gradients;
}

LiftedInput add_input(GraphAssembly& self, const nb::bytes& graph, std::vector<Returned> tensors, Feeds feeds,
                      std::vector<std::string> initializers, std::vector<std::string> class_names, bool inter) {
  ReturnedInput input{std::move(tensors), parse_graph(graph), std::move(feeds), std::move(initializers),
                      std::move(class_names)};
  nb::gil_scoped_release release;
  return self.add_input(std::move(input), inter);
}

GraphContents to_contents(const nb::bytes& graph, std::vector<VariableInfo> variables,
                          std::vector<std::string> initializers, Feeds feeds) {
  return {parse_graph(graph), std::move(variables), std::move(initializers), std::move(feeds)};
}

void bind_returned(nb::module_& m) {
  nb::class_<Returned>(m, "Returned", "what a function of the user returned where a tensor is expected")
      .def("__init__",
           [](Returned* self, InputTensor tensor, bool outside) {
             new (self) Returned{std::move(tensor), "", outside};
           })
      .def_static(
          "no_tensor",
          [](std::string instead) {
            return Returned{{}, std::move(instead), false};
          },
          "what it is");
  nb::class_<ReturnedSpec>(m, "ReturnedSpec")
      .def("__init__",
           [](ReturnedSpec* self, std::vector<Returned> losses, std::vector<std::vector<std::string>> var_scopes) {
             new (self) ReturnedSpec{std::move(losses), std::move(var_scopes), {}, {}, {}};
           })
      .def_rw("log_info", &ReturnedSpec::log_info)
      .def_rw("output_info", &ReturnedSpec::output_info)
      .def(
          "set_export",
          [](ReturnedSpec& self, const std::vector<std::tuple<std::string, NamedValues, NamedValues>>& signatures,
             std::string version) {
            self.export_spec = ReturnedSpec::Export{{}, std::move(version)};
            for (const auto& [name, inputs, outputs] : signatures)
              self.export_spec->signatures.push_back({name, inputs, outputs});
          },
          "signatures: (name, inputs, outputs), serving_default first");
  nb::class_<VariableInfo>(m, "VariableInfo")
      .def("__init__",
           [](VariableInfo* self, std::string name, std::string handle, std::string initializer, int dtype,
              const std::vector<int64_t>& shape, bool trainable, bool optional) {
             new (self) VariableInfo{std::move(name),
                                     std::move(handle),
                                     std::move(initializer),
                                     static_cast<tf::DataType>(dtype),
                                     tf::TensorShape(shape),
                                     trainable,
                                     optional};
           })
      .def_ro("name", &VariableInfo::name);
}

void bind_inputs(nb::module_& m) {
  nb::class_<InputTensor>(m, "InputTensor")
      .def(
          "__init__",
          [](InputTensor* self, std::string name, int dtype, const ShapeList& shape) {
            new (self) InputTensor{std::move(name), static_cast<tf::DataType>(dtype), to_shape(shape)};
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("shape").none())
      .def_ro("name", &InputTensor::name)
      .def_prop_ro("dtype", [](const InputTensor& self) { return static_cast<int>(self.dtype); })
      .def_prop_ro("shape", [](const InputTensor& self) { return to_list(self.shape); });
  nb::class_<LiftedInput>(m, "LiftedInput")
      .def_prop_ro("graph", [](const LiftedInput& self) { return to_bytes(self.graph); })
      .def_ro("tower_inputs", &LiftedInput::tower_inputs)
      .def_ro("batch", &LiftedInput::batch);
  m.def("input_scope", &GraphAssembly::input_scope);
  m.def("export_inputs", &export_inputs);
}

void bind_assembly(nb::module_& m) {
  nb::class_<BuiltGraph>(m, "BuiltGraph")
      .def_rw("class_names", &BuiltGraph::class_names)
      .def(
          "graph_on",
          [](const BuiltGraph& self, const DevicePlan& devices) {
            BuiltGraph copy = self;
            run_passes(&copy, {.devices = devices});
            return to_bytes(copy.graph);
          },
          "for tests: the GraphDef after the passes for these devices");
  nb::class_<GraphPlace>(m, "GraphPlace")
      .def_ro("name_scope", &GraphPlace::name_scope)
      .def_ro("device", &GraphPlace::device)
      .def_ro("reuses_variables", &GraphPlace::reuses_variables);
  nb::class_<GraphAssembly>(m, "GraphAssembly")
      .def(
          "__init__", [](GraphAssembly* self, const RunConfig& config) { new (self) GraphAssembly(config, kLanguage); },
          nb::arg("config"))
      .def("add_input", &add_input)
      .def("place_input", &GraphAssembly::place_input)
      .def("tower", &GraphAssembly::tower)
      .def("inter", &GraphAssembly::inter)
      .def_prop_ro("variable_device", &GraphAssembly::variable_device)
      .def("add_tower",
           [](GraphAssembly& self, ReturnedSpec spec, std::vector<std::string> inputs, Hooks hooks,
              std::vector<std::string> summaries, std::vector<std::string> update_ops) {
             self.add_tower(std::move(spec),
                            {std::move(inputs), std::move(hooks), std::move(summaries), std::move(update_ops)});
           })
      .def("trained", &GraphAssembly::trained)
      .def("add_gradients", [](GraphAssembly& self, size_t loss,
                               const GradientPairs& gradients) { self.add_gradients(loss, to_gradients(gradients)); })
      .def("add_slots",
           [](GraphAssembly& self, size_t loss, const std::vector<GradientPairs>& towers,
              const std::vector<std::string>& slots) {
             std::vector<NamedGradients> gradients;
             for (const GradientPairs& pairs : towers) gradients.push_back(to_gradients(pairs));
             self.add_slots(loss, gradients, slots);
           })
      .def("add_training",
           [](GraphAssembly& self, std::string global_step, std::vector<std::string> updates, std::string increment,
              std::vector<std::string> learning_rates, std::vector<std::string> summaries, std::string loss_scale) {
             self.add_training({std::move(global_step), std::move(updates), std::move(increment),
                                std::move(learning_rates), std::move(summaries), std::move(loss_scale)});
           })
      .def("add_inter", &GraphAssembly::add_inter)
      .def("finish", [](GraphAssembly& self, const nb::bytes& graph, std::vector<VariableInfo> variables,
                        std::vector<std::string> initializers, Feeds feeds) {
        return self.finish(to_contents(graph, std::move(variables), std::move(initializers), std::move(feeds)));
      });
  m.def("assemble_export", [](const ReturnedSpec& spec, const nb::bytes& graph, std::vector<VariableInfo> variables,
                              std::vector<std::string> initializers, Feeds feeds) {
    return assemble_export(spec, to_contents(graph, std::move(variables), std::move(initializers), std::move(feeds)),
                           kLanguage);
  });
}

// None: nothing was given; "": a function; else what it is.
GivenFunction to_given(const std::optional<std::string>& is) { return {is.has_value(), is.value_or("")}; }

void bind_checks(nb::module_& m) {
  m.def(
      "check_functions",
      [](const std::map<std::string, std::optional<std::string>>& given,
         const std::vector<std::optional<std::string>>& optimizers, const std::string& mode) {
        RunFunctions functions{to_given(given.at("input_fn")),
                               to_given(given.at("model_fn")),
                               {},
                               to_given(given.at("output_fn")),
                               to_given(given.at("fetch_strategy_fn"))};
        for (const auto& optimizer : optimizers) functions.optimizer_fn.push_back(to_given(optimizer));
        check_functions(functions, parse_mode(mode), kLanguage);
      },
      "None: nothing was given; \"\": a function; else what it is");
  m.def("arguments_of", [](const std::string& function) { return arguments_of(kLanguage, function); });
  m.def("check_optimizer_count", &check_optimizer_count);
  m.def("reject_optimizer", [](const std::string& instead) { reject_optimizer(instead, kLanguage); });
  m.def("reject_hook", [](const std::string& instead) { reject_hook(instead, kLanguage); });
}

}  // namespace

void bind_graph_assembly(nb::module_& m) {
  bind_inputs(m);
  bind_returned(m);
  bind_assembly(m);
  bind_checks(m);
}

}  // namespace mox::python
