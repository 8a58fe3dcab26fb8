// What a process holds after TensorFlow was loaded and a graph built, and training does not need.
#pragma once

namespace mox {

// Gives back to the system: heap that the building of the graph freed, and the read-only pages of TensorFlow's
// libraries (symbol tables, start-up code), some 250 MB. Those that are used again come back from the page cache.
// Call it before the first step; costs a few milliseconds, changes no state.
void release_start_up_memory();

}  // namespace mox
