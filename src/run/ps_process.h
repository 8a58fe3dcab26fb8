// A parameter server: a process that keeps variables for the workers.
#pragma once

#include "moxing/export.h"
#include "run/run_config.h"
#include "run/tensorflow_server.h"

namespace mox {

// Serves until all workers have ended and their processes are gone, or a signal comes. False: one of them had failed.
// A line says which workers are not there; RunError when one was not for `session_timeout` seconds.
MOX_EXPORT bool serve_variables(const ServerCluster& cluster, const DevicePlan& devices, int64_t intra_threads,
                                int64_t inter_threads, double session_timeout);

// What a run is in a process with --job_name=ps: a training is served, then the process ends, because TensorFlow's
// server cannot be stopped. Other runs have nothing for it to do: it returns.
MOX_EXPORT RunResult run_as_ps(const RunConfig& config);

}  // namespace mox
