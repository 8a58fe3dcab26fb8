// Commands that need the engine. Each is a file in this folder and a line in entry.cc's table.
#pragma once

#include <string>
#include <vector>

#include "command.h"

namespace mox::cli {

int run_train(const std::vector<std::string>& args);    // train_command.cc
int run_eval(const std::vector<std::string>& args);     // eval_command.cc
int run_predict(const std::vector<std::string>& args);  // predict_command.cc
int run_export(const std::vector<std::string>& args);   // export_command.cc
int run_nets(const std::vector<std::string>& args);     // nets_command.cc
int run_lr(const std::vector<std::string>& args);       // lr_command.cc
int run_report(const std::vector<std::string>& args);   // report_command.cc
int run_data(const std::vector<std::string>& args);     // data_command.cc

int run_bench_train(const std::vector<std::string>& args);  // bench_train_command.cc
int run_bench_data(const std::vector<std::string>& args);   // bench_data_command.cc

}  // namespace mox::cli
