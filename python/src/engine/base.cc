// Exceptions, log lines and flags.
#include "base/limits.h"
#include "base/options.h"
#include "module.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/hooks.h"
#include "moxing/log.h"
#include "moxing/mode_keys.h"
#include "moxing/plugin.h"
#include "moxing/version.h"
#include "run/past_end.h"

namespace mox::python {
namespace {

void raise_as(const char* python_class, const std::exception& e) {
  nb::object type = nb::module_::import_("moxing.errors").attr(python_class);
  PyErr_SetString(type.ptr(), e.what());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const InvalidArgumentError& e) {
    raise_as("InvalidArgumentError", e);
  } catch (const NotFoundError& e) {
    raise_as("NotFoundError", e);
  } catch (const DataError& e) {
    raise_as("DataError", e);
  } catch (const PastEndInHook& e) {
    raise_as("PastEndError", e);
  } catch (const OutOfRangeError& e) {
    raise_as("OutOfRangeError", e);
  } catch (const RunError& e) {
    raise_as("RunError", e);
  } catch (const Error& e) {
    raise_as("Error", e);
  } catch (const std::bad_cast&) {
    raise_as("ArgumentTypeError",
             InvalidArgumentError("a value that was passed, or that a function returned, has a type or a size that "
                                  "the engine does not take"));
  } catch (const std::logic_error& e) {
    raise_as("Error", Error(std::string("a mistake inside MoXing, please report it: ") + e.what()));
  }
}

// Where log lines go; nullptr: where C++ sends them. Guarded by the GIL.
PyObject* g_sink = nullptr;

void write_to_python(LogLevel level, std::string_view line) {
  nb::gil_scoped_acquire gil;
  if (!g_sink) return;
  try {
    nb::borrow(g_sink)(static_cast<int>(level), nb::str(line.data(), line.size()));
  } catch (nb::python_error& e) {
    // A closed standard error must not end a training.
    e.discard_as_unraisable("moxing's log");
  }
}

void set_sink(const nb::object& sink) {
  PyObject* old = g_sink;
  g_sink = sink.is_none() ? nullptr : sink.inc_ref().ptr();
  {
    nb::gil_scoped_release release;  // another thread may hold the log's lock and wait for the GIL
    if (g_sink)
      set_log_sink(write_to_python);
    else
      set_log_sink(nullptr);
  }
  Py_XDECREF(old);
}

const char* kind_name(OptionValues::Kind kind) {
  constexpr const char* kNames[] = {"switch", "integer", "number",   "text",  "path",
                                    "word",   "mode",    "function", "object"};
  return kNames[static_cast<int>(kind)];
}

}  // namespace

nb::dict describe(const OptionInfo& option) {
  const OptionValues& values = option.values;
  const bool given = option.default_value && !values.may_be_unset;
  nb::dict d;
  d["name"] = option.name;
  d["kind"] = kind_name(values.kind);
  d["default"] = given ? nb::cast(*option.default_value) : nb::none();
  d["low"] = values.low;
  d["high"] = values.high;
  d["words"] = values.words;
  d["expected"] = option.expected(values.low);
  d["help"] = option.help;
  return d;
}

void bind_base(nb::module_& m) {
  nb::register_exception_translator(translate, nullptr);
  m.attr("version") = version();
  m.attr("MAX_BATCH_SIZE") = kMaxBatchSize;
  m.attr("MAX_IMAGE_SIDE") = kMaxImageSide;
  m.attr("MAX_CLASSES") = kMaxClasses;
  m.attr("MAX_DEVICES") = kMaxDevices;
  m.attr("MAX_SHARDS") = kMaxShards;
  m.attr("MAX_SAMPLES") = kMaxSamples;
  nb::list options;
  for (const OptionInfo& option : run_options())
    if (option.where & option_places::kPython) options.append(describe(option));
  m.attr("run_options") = options;
  m.def("flag_values", [](const std::string& name) {
    get_flag(name);  // throws for a name that there is not
    for (const FlagInfo& flag : all_flags())
      if (name == flag.name) return flag.values();
    return std::string();
  });
  m.def("set_log_sink", set_sink, nb::arg("sink").none(), "sink(level, line), or None for C++'s standard error");
  m.def(
      "log_info", [](const std::string& line) { log_info(line); }, nb::call_guard<nb::gil_scoped_release>());
  m.def(
      "log_warning", [](const std::string& line) { log_warning(line); }, nb::call_guard<nb::gil_scoped_release>());
  m.def("get_flag", [](const std::string& name) { return get_flag(name); });
  m.def("set_flag", [](const std::string& name, const FlagValue& value) { set_flag(name, value); });
  m.def("reset_flags", &reset_flags);
  m.def("parse_flags", &parse_flags);
  m.def("load_plugin", &load_plugin, nb::call_guard<nb::gil_scoped_release>());
  m.def("load_plugins_of_environment", &load_plugins_of_environment, nb::call_guard<nb::gil_scoped_release>());
  m.def("get_help", &get_help);
  m.def("parse_mode", [](const std::string& name) { return std::string(to_string(parse_mode(name))); });
}

}  // namespace mox::python
