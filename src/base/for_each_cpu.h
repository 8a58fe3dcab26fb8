// Functions that the compiler makes for several instruction sets; the program takes the best that the processor has.
// For loops in files of their own that are compiled with -O3 (src/CMakeLists.txt).
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MOX_FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOX_FOR_EACH_CPU
#endif
