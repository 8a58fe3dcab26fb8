#include "engine/end_block.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/moxing.h"
#include "run/epoch_clock.h"
#include "run/progress_line.h"

namespace mox::cli {
namespace {

std::string metrics_text(const std::vector<std::pair<std::string, double>>& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) text += fmt::format("{}{} {:.3f}", text.empty() ? "" : ", ", name, value);
  return text;
}

// As a shell takes it.
std::string quoted(const std::string& path) {
  const bool plain =
      path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") ==
      std::string::npos;
  if (plain && !path.empty()) return path;
  std::string text = "'";
  for (const char c : path) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string best_text(const RunResult& result, const std::string& dir) {
  const std::string path = dir + "/best_checkpoint.json";
  if (file::exists(path)) {
    const nlohmann::ordered_json j = parse_ordered_json(file::read(path), false);
    if (j.is_object())
      return fmt::format("{} {:.3f} at step {}: {}/{}", text_member(j, "metric"), number_member(j, "value", 0),
                         static_cast<int64_t>(number_member(j, "global_step", 0)), dir, text_member(j, "checkpoint"));
  }
  if (!result.best_validation) return "";
  return fmt::format("validation {} {:.3f} at step {} (--keep_best={} keeps its checkpoint)",
                     result.best_validation->metric, result.best_validation->value, result.best_validation->global_step,
                     result.best_validation->metric);
}

}  // namespace

std::vector<std::string> end_block(const RunResult& result, const TrainData& data, const RunOptions& run,
                                   double seconds) {
  const std::string dir = run.log_dir;
  const double samples = static_cast<double>(run.batch_size * get_flag<int64_t>("num_gpus") * num_workers());
  std::string head = fmt::format("{}: step {}", result.interrupted ? "stopped" : "done", result.global_step);
  const bool each_counts = !get_flag<std::string>("ps_hosts").empty() && !get_flag<bool>("sync_replicas");
  if (data.train_samples > 0 && !each_counts)
    head += fmt::format(" (epoch {})", epochs_text(static_cast<double>(result.global_step) * samples /
                                                   static_cast<double>(data.train_samples)));
  head += fmt::format(", {} steps in {}", result.steps, duration_text(seconds));
  std::vector<std::string> lines = {head};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) lines.push_back(fmt::format("  {:<11} {}", name, text));
  };
  add("training", metrics_text(result.metrics));
  add("validation", metrics_text(result.validation));
  add("best", best_text(result, dir));
  add("checkpoint", result.checkpoint);
  add("exported", result.export_dir);
  if (result.interrupted || result.checkpoint.empty()) return lines;
  const std::string averages = run.use_ema ? " --use_ema" : "";
  add("next", "mox eval --checkpoint_url=" + quoted(dir) + averages);
  add("", "mox predict --checkpoint_url=" + quoted(dir) + averages + " IMAGE…");
  add("", "mox report " + quoted(dir));
  return lines;
}

}  // namespace mox::cli
