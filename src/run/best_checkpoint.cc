#include "run/best_checkpoint.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/checkpoint_state.h"
#include "run/metric_mode.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;
using nlohmann::ordered_json;

namespace {

constexpr char kFile[] = "best_checkpoint.json";

struct Best {
  std::string prefix, metric;  // prefix: "" for none
  double value = NAN;
};

// Whatever the file may hold: a checkpoint of this folder that is there, or nothing.
Best read_best(const std::string& dir) {
  std::string text;
  if (!tf::ReadFileToString(tf::Env::Default(), tf::io::JoinPath(dir, kFile), &text).ok()) return {};
  const ordered_json j = parse_ordered_json(text, false);
  if (!j.is_object()) return {};
  const std::string prefix = tf::io::JoinPath(dir, text_member(j, "checkpoint"));
  if (!is_own_checkpoint(dir, prefix) || !checkpoint_exists(prefix)) return {};
  return {prefix, text_member(j, "metric"), number_member(j, "value", NAN)};
}

}  // namespace

std::string best_checkpoint_in(const std::string& dir) { return read_best(dir).prefix; }

void MetricMean::add(const std::vector<std::pair<std::string, double>>& metrics) {
  for (const auto& [name, value] : metrics) {
    if (name != name_) continue;
    sum_ += value;
    ++count_;
  }
}

std::optional<double> MetricMean::take() {
  if (count_ == 0) return std::nullopt;
  const double mean = sum_ / count_;
  sum_ = 0;
  count_ = 0;
  return mean;
}

BestCheckpoint::BestCheckpoint(std::string dir, std::string metric, const std::string& mode)
    : dir_(std::move(dir)), metric_(std::move(metric)), sign_(metric_sign(metric_, mode)) {
  const Best best = read_best(dir_);
  prefix_ = best.prefix;
  value_ = best.value;
  if (best.metric != metric_ || !std::isfinite(best.value)) forget_value();
}

bool BestCheckpoint::is_better(const std::optional<double>& value) const {
  if (metric_.empty() || !value || !std::isfinite(*value)) return false;
  return sign_ * *value > sign_ * value_;
}

void BestCheckpoint::forget_value() { value_ = -sign_ * std::numeric_limits<double>::infinity(); }

void BestCheckpoint::set(const std::string& prefix, int64_t step, double value) {
  const ordered_json j = {{"checkpoint", std::string(tf::io::Basename(prefix))},
                          {"global_step", step},
                          {"metric", metric_},
                          {"value", value}};
  const std::string path = tf::io::JoinPath(dir_, kFile), temporary = path + ".tmp";
  absl::Status status = tf::WriteStringToFile(tf::Env::Default(), temporary, json_text(j, 2) + "\n");
  if (status.ok()) status = tf::Env::Default()->RenameFile(temporary, path);
  if (!status.ok()) log_warning("cannot write " + path + ": " + std::string(status.message()));
  prefix_ = prefix;
  value_ = value;
}

void check_keep_best(const BuiltGraph& graph, const RunConfig& config) {
  if (config.keep_best.empty() || config.run_mode != ModeKeys::TRAIN || config.validates()) return;
  std::string known;
  for (const NamedTensor& info : graph.towers[0].log_info) {
    if (info.name == config.keep_best) return;
    known += (known.empty() ? "" : ", ") + info.name;
  }
  throw InvalidArgumentError(fmt::format("keep_best is '{}', which is not in model_fn's log_info; there is: {}",
                                         config.keep_best, known.empty() ? "nothing" : known));
}

}  // namespace mox
