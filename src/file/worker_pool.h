// Threads for the parts of open files. Tasks never wait for other tasks.
#pragma once

#include <functional>
#include <future>

namespace mox::file {

// Runs the task on a thread of the process's pool; threads are started as they are needed, up to kMostWorkers.
std::future<void> run_in_background(std::function<void()> task);

}  // namespace mox::file
