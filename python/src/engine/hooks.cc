// Hooks: those of C++, and those that Python wrote. Python: moxing/tensorflow/executor/hooks.py, hook_adapter.py.
#include "moxing/hooks.h"

#include <nanobind/stl/shared_ptr.h>

#include <cstring>

#include "graph/built_graph.h"
#include "module.h"
#include "moxing/error.h"
#include "run/hook_groups.h"
#include "run/past_end.h"

namespace mox::python {
namespace {

using NamedFetches = std::vector<std::pair<std::string, std::string>>;  // name, tensor
using NamedFeeds = std::vector<std::pair<std::string, tf::Tensor>>;

// Makes numpy arrays: moxing.tensorflow's function. Guarded by the GIL; never destroyed, as the interpreter may be
// gone.
nb::object& new_array() {
  static auto* function = new nb::object;
  return *function;
}

std::vector<Fetch> to_fetches(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

FeedDict to_feed_dict(const NamedFeeds& feeds) {
  FeedDict dict;
  for (const auto& [name, value] : feeds) dict.emplace_back(Fetch(name), value);
  return dict;
}

nb::list to_list(const std::vector<tf::Tensor>& tensors) {
  nb::list list;
  for (const tf::Tensor& tensor : tensors) list.append(to_numpy(tensor, new_array()));
  return list;
}

// A hook of Python behind an adapter that speaks in names of tensors. Called without the GIL.
class PythonHook : public AggregativeSessionRunHook {
 public:
  PythonHook(nb::object adapter, bool aggregation, bool sync_workers, bool inter_mode)
      : adapter_(std::move(adapter)), aggregation_(aggregation), sync_workers_(sync_workers), inter_mode_(inter_mode) {}

  bool support_aggregation() const override { return aggregation_; }
  bool support_sync_workers() const override { return sync_workers_; }
  bool run_inter_mode() const override { return inter_mode_; }

  void after_create_session(HookSession& session) override {
    call([&] { adapter_.attr("after_create_session")(nb::cast(&session, nb::rv_policy::reference)); });
  }
  SessionRunArgs before_run(SessionRunContext& context) override {
    SessionRunArgs args;
    call([&] {
      const auto [fetches, feeds] = nb::cast<std::pair<std::vector<std::string>, NamedFeeds>>(
          adapter_.attr("before_run")(nb::cast(&context.session(), nb::rv_policy::reference)));
      args = {to_fetches(fetches), to_feed_dict(feeds)};
    });
    return args;
  }
  void after_run(SessionRunContext& context, const SessionRunValues& values) override {
    call([&] {
      if (nb::cast<bool>(adapter_.attr("after_run")(to_list(values.results)))) context.request_stop();
    });
  }
  void end(HookSession& session) override {
    call([&] { adapter_.attr("end")(nb::cast(&session, nb::rv_policy::reference)); });
  }

 private:
  template <typename F>
  static void call(F function) {
    nb::gil_scoped_acquire gil;
    try {
      function();
    } catch (nb::python_error& e) {
      // The run's input ended: not an error.
      if (!e.matches(nb::module_::import_("moxing.tensorflow.executor.hook_adapter").attr("InputEnded"))) throw;
      throw InputEndedInHook(e.what());
    }
  }

  const nb::object adapter_;
  const bool aggregation_, sync_workers_, inter_mode_;
};

tf::Tensor make_tensor(int dtype, const std::vector<int64_t>& shape, const nb::object& data) {
  tf::Tensor tensor(static_cast<tf::DataType>(dtype), tf::TensorShape(shape));
  if (tensor.dtype() == tf::DT_STRING) {
    const auto values = nb::cast<std::vector<nb::bytes>>(data);
    for (size_t i = 0; i < values.size(); ++i)
      tensor.flat<tf::tstring>()(i) = tf::tstring(values[i].c_str(), values[i].size());
    return tensor;
  }
  const auto bytes = nb::cast<nb::bytes>(data);
  const std::string_view room = tensor.tensor_data();
  if (bytes.size() != room.size())
    throw InvalidArgumentError("a fed value has " + std::to_string(bytes.size()) + " bytes, its tensor " +
                               std::to_string(room.size()));
  if (!room.empty()) std::memcpy(const_cast<char*>(room.data()), bytes.data(), bytes.size());
  return tensor;
}

EvaluationOptions evaluation_options(const NamedFetches& monitor_info, const nb::dict& numbers,
                                     const std::string& prefix) {
  EvaluationOptions options;
  for (const auto& [name, tensor] : monitor_info) options.monitor_info.emplace_back(name, Fetch(tensor));
  auto number = [&](const char* name) { return nb::cast<int64_t>(numbers[name]); };
  options.batch_size = number("batch_size");
  options.samples_in_train = number("samples_in_train");
  options.samples_in_eval = number("samples_in_eval");
  options.evaluate_every_n_epochs = number("evaluate_every_n_epochs");
  options.num_gpus = static_cast<int>(number("num_gpus"));
  options.prefix = prefix;
  return options;
}

std::vector<nb::object> run_session(HookSession& session, const std::vector<std::string>& fetches,
                                    const NamedFeeds& feeds) {
  std::vector<tf::Tensor> results;
  {
    nb::gil_scoped_release release;
    results = session.run(to_fetches(fetches), to_feed_dict(feeds));
  }
  std::vector<nb::object> arrays;
  for (const tf::Tensor& tensor : results) arrays.push_back(to_numpy(tensor, new_array()));
  return arrays;
}

}  // namespace

void bind_hooks(nb::module_& m) {
  nb::class_<HookSession>(m, "HookSession")
      .def("run", &run_session)
      .def("restart_input", &HookSession::restart_input, nb::call_guard<nb::gil_scoped_release>())
      .def("multiply_learning_rate", &HookSession::multiply_learning_rate, nb::call_guard<nb::gil_scoped_release>());
  nb::class_<SessionRunHook>(m, "SessionRunHook");  // NOLINT(bugprone-unused-raii): making it registers the class
  nb::class_<PythonHook, SessionRunHook>(m, "PythonHook").def(nb::init<nb::object, bool, bool, bool>());
  nb::class_<FeedSessionRunHook, SessionRunHook>(m, "FeedSessionRunHook")
      .def("__init__", [](FeedSessionRunHook* self, const NamedFeeds& feeds) {
        new (self) FeedSessionRunHook(to_feed_dict(feeds));
      });
  nb::class_<LogEvaluationMetricHook, SessionRunHook>(m, "LogEvaluationMetricHook")
      .def("__init__", [](LogEvaluationMetricHook* self, const NamedFetches& monitor_info, const nb::dict& numbers,
                          const std::string& prefix) {
        new (self) LogEvaluationMetricHook(evaluation_options(monitor_info, numbers, prefix));
      });
  nb::class_<EarlyStoppingHook, SessionRunHook>(m, "EarlyStoppingHook")
      .def("__init__", [](EarlyStoppingHook* self, const NamedFetches& monitor_info, const nb::dict& numbers,
                          const std::string& prefix, const std::string& monitor, double min_delta, int patience,
                          const std::string& mode) {
        new (self)
            EarlyStoppingHook(evaluation_options(monitor_info, numbers, prefix), {monitor, min_delta, patience, mode});
      });
  nb::class_<PlateauLREarlyStoppingHook, SessionRunHook>(m, "PlateauLREarlyStoppingHook")
      .def("__init__", [](PlateauLREarlyStoppingHook* self, const NamedFetches& monitor_info, const nb::dict& numbers,
                          const std::string& prefix, const std::string& monitor, double min_delta, int patience,
                          const std::string& mode, float lr_multiplier, int max_plateaus) {
        new (self) PlateauLREarlyStoppingHook(evaluation_options(monitor_info, numbers, prefix),
                                              {monitor, min_delta, patience, mode}, {lr_multiplier, max_plateaus});
      });
  m.def("hook_runs", &hook_runs);
  m.def("make_tensor", &make_tensor);
  m.def("set_new_array", [](nb::object function) { new_array() = std::move(function); });
}

}  // namespace mox::python
