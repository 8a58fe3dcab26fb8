// What a training leaves in its folder, read back: for `mox report`.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/svg_chart.h"

namespace mox::cli {

constexpr char kTrainFile[] = "train.json";  // how it was trained
constexpr char kEvalFile[] = "eval.json";    // the last evaluation of the split that there is for it
constexpr char kOtherEvals[] = "eval-";      // begins the names of those of other splits: eval-train.json

struct RunFolder {
  std::string dir;
  nlohmann::ordered_json config;                          // of run.json and train.json
  std::map<std::string, std::vector<ChartPoint>> log;     // log.jsonl: by metric, over the global step
  std::map<std::string, std::vector<ChartPoint>> events;  // scalars of the event files, likewise
  double first_time = 0, last_time = 0;                   // seconds since 1970 of the log; 0: no log
  std::vector<std::string> checkpoints;                   // oldest first
  nlohmann::ordered_json best;                            // best_checkpoint.json; null when there is none
  nlohmann::ordered_json lr_find;                         // lr_find.json; null when there is none
  nlohmann::ordered_json evaluation;                      // eval.json; null when there is none
  std::vector<nlohmann::ordered_json> others;             // evaluations of other splits
};

// NotFoundError when the folder holds neither a log nor an evaluation. What cannot be read is left out with a warning.
RunFolder read_run_folder(const std::string& dir);

}  // namespace mox::cli
