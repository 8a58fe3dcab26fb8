#include "engine/bench_rows.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/json_text.h"
#include "base/pattern.h"
#include "engine/number_list.h"
#include "engine/temporary_folder.h"
#include "launch/launcher.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/flags.h"
#include "moxing/log.h"

namespace mox::cli {

using nlohmann::ordered_json;

namespace {

std::vector<int64_t> counts_of(const std::string& flag, const std::string& text, int64_t most) {
  std::vector<int64_t> counts;
  for (const double number : numbers_of(flag, text)) {
    if (number < 1 || number > static_cast<double>(most) || number != std::floor(number))
      throw InvalidArgumentError(fmt::format("{} has {:g}, expected whole numbers from 1 to {}", flag, number, most));
    counts.push_back(static_cast<int64_t>(number));
  }
  if (counts.empty()) throw InvalidArgumentError(flag + " is '', expected numbers with ',' between");
  return counts;
}

bool has_servers(const std::string& mode) { return mode == "parameter_server" || mode == "distributed_replicated"; }

}  // namespace

std::vector<BenchRow> bench_rows(const std::string& workers, const std::string& devices, const std::string& modes) {
  std::vector<BenchRow> rows;
  const FlagValue before = get_flag("variable_update");
  for (const std::string& mode : split_list(modes)) {
    set_flag("variable_update", FlagValue(mode));  // refuses what is none
    for (const int64_t w : counts_of("--workers", workers, launch::kMaxTasks))
      for (const int64_t d : counts_of("--devices", devices, launch::kMaxTasks)) rows.push_back({w, d, mode});
  }
  set_flag("variable_update", before);
  if (rows.empty()) throw InvalidArgumentError("--modes is '', expected ways of variable_update with ',' between");
  return rows;
}

bool is_task_of_bench(const std::vector<BenchRow>& rows) {
  const int64_t here = num_workers();
  const bool in_cluster = here > 1 || get_flag<std::string>("job_name") != "worker";
  const bool lacks_servers = !rows.empty() && has_servers(rows[0].mode) && get_flag<std::string>("ps_hosts").empty();
  if (rows.size() == 1 && rows[0].workers == here && (in_cluster || !lacks_servers)) return true;
  if (in_cluster)
    throw InvalidArgumentError(
        fmt::format("this process is one of a cluster of {} workers, which is measured as it is: give --workers={}, "
                    "one number of --devices and one of --modes",
                    here, here));
  return false;
}

std::string name_of(const BenchRow& row) {
  return fmt::format("{} worker{}, {} device{}, {}", row.workers, row.workers == 1 ? "" : "s", row.devices,
                     row.devices == 1 ? "" : "s", row.mode);
}

ordered_json start_row(const std::string& command, const std::vector<std::string>& args, const BenchRow& row) {
  const TemporaryFolder folder("bench");
  const std::string figures = folder.path() + "/figures.json";
  launch::Options options;
  options.workers = row.workers;
  options.ps = has_servers(row.mode) ? 1 : 0;
  options.name_lines = false;
  options.command = {std::filesystem::read_symlink("/proc/self/exe").string(), "bench", command};
  options.command.insert(options.command.end(), args.begin(), args.end());  // of an option given twice the last counts
  for (const std::string& own : {fmt::format("--workers={}", row.workers), fmt::format("--devices={}", row.devices),
                                 "--modes=" + row.mode, "--json_url=" + figures})
    options.command.push_back(own);
  if (const int code = launch::launch(options); code != 0) {
    log_warning(fmt::format("{}: failed with exit code {}", name_of(row), code));
    return nullptr;
  }
  return ordered_json::parse(file::read(figures));
}

ordered_json with_speedup(const BenchRow& row, int64_t batch_size, const ordered_json& figures,
                          const ordered_json* first) {
  ordered_json all = {{"variable_update", row.mode},
                      {"workers", row.workers},
                      {"devices", row.devices},
                      {"batch_size", batch_size * row.devices * row.workers}};
  for (const char* name : {"steps_per_second", "samples_per_second", "speedup", "step_ms", "least_ms", "most_ms",
                           "cpu_ms_per_step", "peak_mib"})
    all[name] = figures.is_null() || !figures.contains(name) ? ordered_json() : figures[name];
  if (figures.is_null()) return all;
  const auto rate = [](const ordered_json& of) {
    return of["samples_per_second"].get<double>() / (of["workers"].get<double>() * of["devices"].get<double>());
  };
  all["speedup"] = first ? rate(all) / rate(*first) : 1;
  return all;
}

}  // namespace mox::cli
