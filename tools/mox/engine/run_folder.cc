#include "engine/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "base/json_text.h"
#include "base/text.h"
#include "data/record_file.h"
#include "engine/lr_find.h"
#include "moxing/moxing.h"
#include "run/validation_names.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/event.pb.h"

namespace mox::cli {

namespace tf = tensorflow;
using nlohmann::ordered_json;

namespace {

ordered_json read_json(const std::string& path) {
  if (!file::exists(path)) return nullptr;
  try {
    return parse_ordered_json(file::read(path));
  } catch (const nlohmann::json::exception& e) {
    log_warning(fmt::format("{} cannot be read and is left out: {}", path, json_problem(e)));
    return nullptr;
  }
}

using Curves = std::map<std::string, std::vector<ChartPoint>>;

// A run that goes on from `step`: what was logged of later steps was lost with them.
void forget_from(double step, Curves* curves) {
  for (auto& [name, points] : *curves) {
    // What was validated after the last step that stays is no step's that comes.
    const bool after = name.starts_with(kValidationPrefix);
    std::erase_if(points, [&](const ChartPoint& point) { return after ? point.x > step : point.x >= step; });
  }
}

// A resumed run writes some steps again: the last counts.
void sort_points(Curves* curves) {
  for (auto& [name, points] : *curves) {
    std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
    std::vector<ChartPoint> last;
    for (const ChartPoint& p : points) {
      if (!last.empty() && last.back().x == p.x) last.pop_back();
      last.push_back(p);
    }
    points = std::move(last);
  }
}

void read_log(const std::string& path, RunFolder* run) {
  if (!file::exists(path)) return;
  std::istringstream lines(file::read(path));
  std::string text;
  double last = -1;
  while (std::getline(lines, text)) {
    const ordered_json line = parse_ordered_json(text, false);
    if (!line.is_object() || !line.contains("global_step")) continue;  // cut off when the process died
    if (!line["global_step"].is_number()) continue;
    const double step = line["global_step"].get<double>();
    const double time = number_member(line, "time", 0);
    if (line.contains("step")) {  // of a step, not of a validation between two
      if (step <= last) forget_from(step, &run->log);
      last = step;
    }
    if (run->first_time == 0) run->first_time = time;
    run->last_time = std::max(run->last_time, time);
    for (const auto& [name, value] : line.items())
      if (value.is_number() && name != "time" && name != "step" && name != "global_step" && name != "epoch")
        run->log[name].push_back({step, value.get<double>()});
  }
  sort_points(&run->log);
}

void read_events(const std::string& path, Curves* curves) {
  std::unique_ptr<tf::RandomAccessFile> source;
  uint64_t size = 0;
  if (!tf::Env::Default()->GetFileSize(path, &size).ok() ||
      !tf::Env::Default()->NewRandomAccessFile(path, &source).ok())
    return;
  // Not TensorFlow's reader: it takes memory for whatever length a record tells of.
  data::RecordFile reader(path, std::move(source), static_cast<int64_t>(size));
  tf::tstring record;
  absl::Status error;
  // Ends at the end, or where the process died.
  while (reader.next(&record, &error) == data::RecordFile::Result::kRecord) {
    tf::Event event;
    if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) continue;
    if (event.session_log().status() == tf::SessionLog::START) forget_from(static_cast<double>(event.step()), curves);
    for (const auto& value : event.summary().value())
      if (value.value_case() == tf::Summary::Value::kSimpleValue)
        (*curves)[value.tag()].push_back({static_cast<double>(event.step()), value.simple_value()});
  }
}

bool all_of(const ordered_json& list, bool (*fits)(const ordered_json&)) {
  return list.is_array() && std::all_of(list.begin(), list.end(), fits);
}

// What the page takes from eval.json: a file that anybody may have edited.
void check_evaluation(const ordered_json& eval, const std::string& path) {
  const auto check = [&](const char* field, bool fits, const char* expected) {
    if (!fits) throw DataError(fmt::format("{}: {} is not {}; run mox eval again", path, field, expected));
  };
  const auto has = [&](const char* field) { return eval.contains(field); };
  const auto is_text = [](const ordered_json& value) { return value.is_string(); };
  const auto is_count = [](const ordered_json& value) { return value.is_number_integer(); };
  check("eval.json", eval.is_object(), "an object");
  check("classes", !has("classes") || all_of(eval["classes"], is_text), "a list of names");
  if (has("confusion")) {
    const ordered_json& rows = eval["confusion"];
    check("confusion", rows.is_array() || rows.is_null(), "a list of rows");
    for (const auto& row : rows)
      check("confusion", all_of(row, is_count) && row.size() == rows.size(), "a square of integers");
  }
  check("pictures",
        !has("pictures") || eval["pictures"].is_null() ||
            all_of(eval["pictures"],
                   [](const ordered_json& p) {
                     return p.is_object() && p.contains("label") && p["label"].is_number_unsigned() &&
                            p.contains("predicted") && p["predicted"].is_number_unsigned() && p.contains("png") &&
                            p["png"].is_string();
                   }),
        "a list of pictures with label, predicted and png");
}

void list_checkpoints(const std::vector<std::string>& names, RunFolder* run) {
  std::vector<std::pair<int64_t, std::string>> found;
  for (const std::string& name : names) {
    const std::string start = "model.ckpt-", end = ".index";
    if (name.rfind(start, 0) != 0 || name.size() <= end.size() || name.substr(name.size() - end.size()) != end)
      continue;
    const std::string prefix = name.substr(0, name.size() - end.size());
    found.emplace_back(parse_whole<int64_t>(prefix.substr(start.size())).value_or(0), prefix);
  }
  std::sort(found.begin(), found.end());
  for (const auto& [step, prefix] : found) run->checkpoints.push_back(prefix);
}

// Left out with a warning where it is not what --lr_find writes.
void check_lr_find(ordered_json* found, const std::string& path) {
  bool fits = found->is_object() && found->contains("points") && (*found)["points"].is_array();
  if (fits)
    for (const ordered_json& point : (*found)["points"])
      for (const char* name : {"learning_rate", "loss", "smoothed"})
        fits = fits && point.is_object() && point.contains(name) && point[name].is_number();
  if (fits) return;
  log_warning(path + " is not what mox train --lr_find writes: it is left out");
  *found = nullptr;
}

}  // namespace

RunFolder read_run_folder(const std::string& dir) {
  if (!file::is_directory(dir))
    throw NotFoundError("there is no run folder " + dir + "; give a --train_url of mox train");
  RunFolder run;
  run.dir = dir;
  run.config = ordered_json::object();
  for (const char* name : {"run.json", kTrainFile})
    if (const ordered_json part = read_json(dir + "/" + name); part.is_object()) run.config.update(part);
  read_log(dir + "/log.jsonl", &run);
  std::vector<std::string> names = file::list_directory(dir);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (name.find(".tfevents.") != std::string::npos) read_events(dir + "/" + name, &run.events);
  sort_points(&run.events);
  list_checkpoints(names, &run);
  run.best = read_json(dir + "/best_checkpoint.json");
  run.evaluation = read_json(dir + "/" + kEvalFile);
  if (!run.evaluation.is_null()) check_evaluation(run.evaluation, dir + "/" + kEvalFile);
  run.lr_find = read_json(dir + "/" + kLrFindFile);
  if (!run.lr_find.is_null()) check_lr_find(&run.lr_find, dir + "/" + kLrFindFile);
  for (const std::string& name : names)
    if (name.starts_with(kOtherEvals) && name.ends_with(".json"))
      if (ordered_json other = read_json(dir + "/" + name); other.is_object()) run.others.push_back(std::move(other));
  if (run.log.empty() && run.events.empty() && run.evaluation.is_null() && run.others.empty() && run.lr_find.is_null())
    throw NotFoundError(
        dir + " holds no log.jsonl, no event file and no eval.json: it is no run's folder, or nothing was logged");
  return run;
}

}  // namespace mox::cli
