// What a process holds and does not need: after TensorFlow was loaded and a graph built, and after the last step.
#pragma once

namespace mox {

// Gives back to the system: heap that the building of the graph freed, and the read-only pages of TensorFlow's
// libraries (symbol tables, start-up code), some 250 MB. Those that are used again come back from the page cache.
// Call it before the first step; costs a few milliseconds, changes no state.
void release_start_up_memory();

// Gives back to the system what the steps of a training have freed, when there are no more of them.
void release_step_memory();

}  // namespace mox
