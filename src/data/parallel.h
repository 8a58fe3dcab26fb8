// A loop over independent items in several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace mox::data {

// Calls body(0) … body(count - 1), at most `threads` at once. The first exception ends the loop and is thrown.
void parallel_for(size_t count, int threads, const std::function<void(size_t)>& body);

}  // namespace mox::data
