// variable_update=auto: the ways to do a step are tried in the first steps of a training, and the fastest is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/engine_session.h"
#include "run/step_peers.h"

namespace mox {

// Steps of a trial are steps as all others: each way gives the same numbers, with the same variables and input. After
// some for warming up, the ways take turns, and what counts is the median of a way's steps, over all processes. They
// decide by the same numbers, and so alike. Where processes come together anew, all try again.
class MOX_EXPORT StepTrial {
 public:
  // All must outlive it. `peers` may be nullptr. `steps_left`: of the run, 0: not known. `samples`: of a step of all
  // processes, for the log; 0: not known.
  StepTrial(const BuiltGraph& graph, EngineSession& session, StepPeers* peers, int64_t steps_left, int64_t samples);

  // Has the session prepare the coming step the way that is its turn. RunError where that does not work.
  void before_step();
  // `seconds` that it took; nothing when that says nothing (it was traced).
  void after_step(std::optional<double> seconds);
  // The processes came together anew.
  void restart(int64_t steps_left);

  // How many steps it takes to try so many ways.
  static int64_t length(size_t variants);

 private:
  void decide(const std::vector<double>& times);
  std::vector<double> medians() const;

  const BuiltGraph& graph_;
  EngineSession& session_;
  StepPeers* const peers_;
  const int64_t samples_;
  std::vector<std::vector<double>> times_;  // [variant]
  int64_t done_ = 0;                        // steps of the trial
  bool over_ = true;
};

}  // namespace mox
