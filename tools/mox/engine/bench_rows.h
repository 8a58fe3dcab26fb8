// The rows of `mox bench train`: what is measured, and the processes that measure it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mox::cli {

struct BenchRow {
  int64_t workers = 1, devices = 1;
  std::string mode;  // variable_update
};

// Each of the workers with each of the devices with each of the modes: lists with ',' between. InvalidArgumentError.
std::vector<BenchRow> bench_rows(const std::string& workers, const std::string& devices, const std::string& modes);

// Whether this process measures itself: there is one row, and it has the workers. InvalidArgumentError when it is one
// of a cluster's and there is more to measure than that cluster.
bool is_task_of_bench(const std::vector<BenchRow>& rows);

// "2 workers, 1 device, collective_all_reduce"
std::string name_of(const BenchRow& row);

// Starts this program again for the row, as `mox bench COMMAND ARGS`, in as many processes as it has workers. What
// worker 0 found; null when it failed, which its own words have told.
nlohmann::ordered_json start_row(const std::string& command, const std::vector<std::string>& args, const BenchRow& row);

// The row with its figures, and its speedup against the first one that has figures; nullptr: it is that one.
nlohmann::ordered_json with_speedup(const BenchRow& row, int64_t batch_size, const nlohmann::ordered_json& figures,
                                    const nlohmann::ordered_json* first);

}  // namespace mox::cli
