// What the files of the extension `_engine` share. Python: moxing/tensorflow.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <vector>

#include "string_caster.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace mox {
struct OptionInfo;  // base/options.h
}

namespace mox::python {

namespace nb = nanobind;
namespace tf = tensorflow;

// Static shapes cross the boundary as a list, -1 for an unknown size; None: not even the rank is known.
using ShapeList = std::optional<std::vector<int64_t>>;
tf::PartialTensorShape to_shape(const ShapeList& list);
ShapeList to_list(const tf::PartialTensorShape& shape);

// A numpy array (an object array of bytes for strings) or, for a scalar, what indexing such an array gives.
// `new_array(shape, dtype number)` of moxing.tensorflow makes the array. Needs the GIL.
nb::object to_numpy(const tf::Tensor& tensor, const nb::object& new_array);

nb::bytes to_bytes(const google::protobuf::MessageLite& message);

// A line of a table of options for moxing/tensorflow/_options.py: name, kind, default, low, high, words, expected,
// help.
nb::dict describe(const OptionInfo& option);

// One file a topic.
void bind_base(nb::module_& m);            // exceptions, log, flags
void bind_graph_assembly(nb::module_& m);  // what the front end tells of a graph, and its checks
void bind_run(nb::module_& m);             // options, run_built_graph
void bind_hooks(nb::module_& m);           // HookSession, hooks of C++ and of Python
void bind_fragments(nb::module_& m);       // networks, preprocessing, built-in data sets, learning rates
void bind_datasets(nb::module_& m);        // data sets on disk, their metadata, functions of their pipelines
void bind_optimizers(nb::module_& m);      // optimizers of C++

}  // namespace mox::python
