// mox report
#include <fmt/format.h>

#include "base/json_text.h"
#include "command_line.h"
#include "engine/entry.h"
#include "engine/report_page.h"
#include "moxing/moxing.h"

namespace mox::cli {
namespace {

std::string title_of(const RunFolder& run) {
  if (!run.config.contains("model_name")) return "Training run";
  std::string data = run.config.value("dataset_name", "");
  if (data.empty()) data = run.config.value("data_url", "");
  return run.config.value("model_name", "") + " on " + data;
}

}  // namespace

int run_report(const std::vector<std::string>& args) {
  CommandLine app(
      "Writes one HTML page about a run: curves, evaluation, confusion matrix, predictions, configuration.\n"
      "Run mox eval before: its result is part of the page.\nExample: mox report DIR",
      "mox report");
  std::string run_url, output_url, title;
  app.option("run_url", run_url, "folder of a run, the --train_url of mox train").required();
  app.option("--output_url", output_url, "the page; default: report.html in the folder");
  app.option("--title", title, "default: network and data set");
  if (int code = app.parse_with_flags(args); code >= 0) return code;
  const RunFolder run = read_run_folder(run_url);
  if (output_url.empty()) output_url = run_url + "/report.html";
  try {
    if (title.empty()) title = title_of(run);
    file::write(output_url, report_page(run, title));
  } catch (const nlohmann::json::exception& e) {
    throw DataError(fmt::format("the JSON files in {} are no longer what the run wrote: {}", run_url, json_problem(e)));
  }
  log_info("wrote " + output_url);
  return kDone;
}

}  // namespace mox::cli
