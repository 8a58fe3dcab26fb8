// What this machine's C and C++ libraries have and glibc 2.27 and GCC 7's libstdc++ lack, as far as anything that is
// linked uses it. Linked into every library and program of a portable build (stubs.py), and seen by that library alone.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

struct stat;

extern "C" {

// Before 2.33 these were macros over functions with a number for the layout of the struct, which later ones keep.
#ifdef __x86_64__
constexpr int kStatVersion = 1;
#else
constexpr int kStatVersion = 0;
#endif
int __xstat(int, const char*, struct stat*);
int __fxstat(int, int, struct stat*);
int __lxstat(int, const char*, struct stat*);
int __fxstatat(int, int, const char*, struct stat*, int);

// Named by asm labels, since <sys/stat.h> is not included: its declarations would differ from release to release.
#define MOX_HIDDEN __attribute__((visibility("hidden"), used))
MOX_HIDDEN int mox_stat(const char* path, struct stat* st) __asm__("stat");
MOX_HIDDEN int mox_stat64(const char* path, struct stat* st) __asm__("stat64");
MOX_HIDDEN int mox_lstat(const char* path, struct stat* st) __asm__("lstat");
MOX_HIDDEN int mox_lstat64(const char* path, struct stat* st) __asm__("lstat64");
MOX_HIDDEN int mox_fstat(int file, struct stat* st) __asm__("fstat");
MOX_HIDDEN int mox_fstat64(int file, struct stat* st) __asm__("fstat64");
MOX_HIDDEN int mox_fstatat(int folder, const char* path, struct stat* st, int flags) __asm__("fstatat");
MOX_HIDDEN int mox_fstatat64(int folder, const char* path, struct stat* st, int flags) __asm__("fstatat64");

int mox_stat(const char* path, struct stat* st) { return __xstat(kStatVersion, path, st); }
int mox_stat64(const char* path, struct stat* st) { return __xstat(kStatVersion, path, st); }
int mox_lstat(const char* path, struct stat* st) { return __lxstat(kStatVersion, path, st); }
int mox_lstat64(const char* path, struct stat* st) { return __lxstat(kStatVersion, path, st); }
int mox_fstat(int file, struct stat* st) { return __fxstat(kStatVersion, file, st); }
int mox_fstat64(int file, struct stat* st) { return __fxstat(kStatVersion, file, st); }
int mox_fstatat(int folder, const char* path, struct stat* st, int flags) {
  return __fxstatat(kStatVersion, folder, path, st, flags);
}
int mox_fstatat64(int folder, const char* path, struct stat* st, int flags) {
  return __fxstatat(kStatVersion, folder, path, st, flags);
}

// 2.32. False: counters of shared pointers are always atomic.
MOX_HIDDEN char mox_single_threaded __asm__("__libc_single_threaded") = 0;

// 2.28. On 64-bit systems it is fcntl.
int fcntl(int, int, ...);
MOX_HIDDEN int mox_fcntl64(int file, int command, void* argument) __asm__("fcntl64");
int mox_fcntl64(int file, int command, void* argument) { return fcntl(file, command, argument); }

// 2.30.
MOX_HIDDEN pid_t mox_gettid() __asm__("gettid");
pid_t mox_gettid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// 2.32: of the signals that end a process; others have no name here.
MOX_HIDDEN const char* mox_sigabbrev(int signal) __asm__("sigabbrev_np");
const char* mox_sigabbrev(int signal) {
  static constexpr const char* kNames[] = {nullptr,  "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
                                           "FPE",    "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
                                           "STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
                                           "XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR",  "SYS"};
  return signal > 0 && signal < static_cast<int>(sizeof kNames / sizeof *kNames) ? kNames[signal] : nullptr;
}

// Archives that are compiled for programs alone (Debian's libjpeg.a) reach a variable of another library only where it
// has a place in the program. This one has it in each library: the stream is the same.
extern struct _IO_FILE_plus _IO_2_1_stderr_;
MOX_HIDDEN void* mox_stderr __asm__("stderr") = &_IO_2_1_stderr_;

// 2.30. Where the system has none, the time that is left is counted on the clock that a condition variable knows: only
// a clock that is set while one waits makes a difference.
using CondWait = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
MOX_HIDDEN int mox_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                             const timespec* until) __asm__("pthread_cond_clockwait");

static int clockwait_of_old(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  constexpr long kSecond = 1000000000;
  timespec now{}, wall{};
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  wall.tv_sec += until->tv_sec - now.tv_sec;
  wall.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (wall.tv_nsec < 0) wall.tv_nsec += kSecond, --wall.tv_sec;
  if (wall.tv_nsec >= kSecond) wall.tv_nsec -= kSecond, ++wall.tv_sec;
  return pthread_cond_timedwait(condition, mutex, &wall);
}

int mox_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  static std::atomic<CondWait> chosen{nullptr};
  CondWait wait = chosen.load(std::memory_order_relaxed);
  if (!wait) {
    wait = reinterpret_cast<CondWait>(dlsym(RTLD_DEFAULT, "pthread_cond_clockwait"));
    if (!wait) wait = clockwait_of_old;
    chosen.store(wait, std::memory_order_relaxed);
  }
  return wait(condition, mutex, clock, until);
}

// std::exception_ptr's counters, which were parts of its copy constructor and destructor. The archive's own would bring
// a second std::terminate, of which std::set_terminate knows nothing.
void mox_copy_exception(void* to, const void* from) __asm__("_ZNSt15__exception_ptr13exception_ptrC1ERKS0_");
void mox_drop_exception(void* self) __asm__("_ZNSt15__exception_ptr13exception_ptrD1Ev");
MOX_HIDDEN void mox_add_exception(void* self) __asm__("_ZNSt15__exception_ptr13exception_ptr9_M_addrefEv");
MOX_HIDDEN void mox_release_exception(void* self) __asm__("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
void mox_add_exception(void* self) {
  void* counted;  // never destroyed
  mox_copy_exception(&counted, self);
}
void mox_release_exception(void* self) { mox_drop_exception(self); }

[[noreturn]] void mox_throw_length() __asm__("__cxa_throw_bad_array_new_length");
[[noreturn]] MOX_HIDDEN void mox_bad_length() __asm__("_ZSt28__throw_bad_array_new_lengthv");
void mox_bad_length() { mox_throw_length(); }

}  // extern "C"
