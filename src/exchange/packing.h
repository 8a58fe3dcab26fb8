// Small tensors that travel between processes as one: each transfer of TensorFlow's costs what some 100 KB cost.
#pragma once

#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "graph/built_graph.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace mox {

// Whether a tensor of so many bytes is small: a larger one is not worth the copies.
inline bool is_packed(int64_t bytes) { return bytes <= 64 << 10; }

// `tensors`, of these shapes, one behind the other: a vector called `name`, made on `device` (a full name).
std::string add_pack(tensorflow::GraphDef* graph, const std::string& name, const std::vector<std::string>& tensors,
                     const std::vector<tensorflow::TensorShape>& shapes, tensorflow::DataType dtype,
                     const std::string& device);
// The tensors of the vector `packed` again, on `device`. `name`: of what is added for it.
std::vector<std::string> add_unpack(tensorflow::GraphDef* graph, const std::string& name, const std::string& packed,
                                    const std::vector<tensorflow::TensorShape>& shapes, tensorflow::DataType dtype,
                                    const std::string& device);

// The small variables that a step reads from a parameter server come together. After place_on_servers().
void pack_reads(BuiltGraph* graph, const DevicePlan& plan);
// And so go the values by which this process moves small variables there (the chief: moving averages). After
// pack_reads().
void pack_updates(BuiltGraph* graph, const DevicePlan& plan);

}  // namespace mox
