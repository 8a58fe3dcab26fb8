// Exponential moving averages of a model's variables (Polyak and Juditsky 1992), as what is evaluated and exported.
//
// average := d * average + (1 - d) * variable after each step, with d = min(model_ema, (1 + step) / (10 + step)): at
// the beginning, where the weights move most, the average follows them, as in TensorFlow's ExponentialMovingAverage
// with num_updates. Averaged are the variables that are trained and those that the model itself moves, the moving
// averages of batch norm, so that weights and statistics are of the same time. An average is a variable of the
// training, named as TensorFlow names it; checkpoints hold it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/checkpoint_loader.h"

namespace mox {

// A pass on a training's graph whose gradients are joined: adds the averages. Says what is averaged.
MOX_EXPORT void add_model_ema(BuiltGraph* graph, double decay);
// After it: log_info of inter_mode is computed of the averages. What hooks fetch themselves stays as it is.
MOX_EXPORT void validate_averages(BuiltGraph* graph);
// An average that the checkpoint lacks begins with its variable's value in it.
void start_averages(const BuiltGraph& graph, LoadedCheckpoint* checkpoint);

// The values with those of averages in place of their variables'; what has none stays.
using NamedTensors = std::vector<std::pair<std::string, tensorflow::Tensor>>;
NamedTensors with_averages(NamedTensors values);

}  // namespace mox
