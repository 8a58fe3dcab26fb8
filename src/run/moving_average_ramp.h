// Moving averages of batch norm in trainings that are shorter than their decay needs: a pass on the built graph.
//
// A decay of 0.9997 forgets what the averages began with in some 15,000 steps; evaluated before, a network that has
// learned knows nothing. So the rate 1 - decay is at least 20 / (20 + step): the averages cover about the last
// twentieth of the steps so far, until the network's own decay is the slower one. A decay that rises with the step was
// taken over a smaller constant because it needs no plan of how long the training will be, fits every validation on the
// way, and ends as the network's own. The same idea as num_updates of TensorFlow's ExponentialMovingAverage.
#pragma once

#include <cstdint>

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// The largest decay of a moving_mean or moving_variance that the training updates; 0 where none is known.
MOX_EXPORT double slowest_average(const BuiltGraph& graph);
// Steps after which an average of that decay has forgotten 99% of what it began with.
MOX_EXPORT int64_t steps_of_average(double decay);
// What fits so many steps: it covers the last twentieth of them.
MOX_EXPORT double decay_for(int64_t steps);

// Does so to all that slowest_average looks at. The graph counts a global step.
MOX_EXPORT void ramp_moving_averages(BuiltGraph* graph);

}  // namespace mox
