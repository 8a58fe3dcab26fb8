// Clang's thread safety attributes, which `make lint` checks; other compilers see nothing. What each means:
// clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#ifdef __clang__
#define MOX_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define MOX_THREAD_ATTRIBUTE(x)
#endif

#define MOX_CAPABILITY(name) MOX_THREAD_ATTRIBUTE(capability(name))
#define MOX_SCOPED_CAPABILITY MOX_THREAD_ATTRIBUTE(scoped_lockable)

// Of data: read and written with the mutex held; PT_: what the pointer points to.
#define MOX_GUARDED_BY(mutex) MOX_THREAD_ATTRIBUTE(guarded_by(mutex))
#define MOX_PT_GUARDED_BY(mutex) MOX_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
#define MOX_ACQUIRED_BEFORE(...) MOX_THREAD_ATTRIBUTE(acquired_before(__VA_ARGS__))

// Of functions and lambdas: called with the mutex held, or not held; takes it, gives it back.
#define MOX_REQUIRES(...) MOX_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define MOX_EXCLUDES(...) MOX_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define MOX_ACQUIRE(...) MOX_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define MOX_RELEASE(...) MOX_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
// With the reason beside it.
#define MOX_NO_THREAD_SAFETY_ANALYSIS MOX_THREAD_ATTRIBUTE(no_thread_safety_analysis)
