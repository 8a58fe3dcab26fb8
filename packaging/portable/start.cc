// How a program begins. Until glibc 2.33 a program brought the function that runs its own constructors; the start files
// of later ones bring none, and constructors would not run on older systems. Later systems run the one that is given
// here.
extern "C" {

using Constructor = void (*)(int, char**, char**);
using Main = int (*)(int, char**, char**);
extern Constructor __preinit_array_start[] __attribute__((visibility("hidden")));
extern Constructor __preinit_array_end[] __attribute__((visibility("hidden")));
extern Constructor __init_array_start[] __attribute__((visibility("hidden")));
extern Constructor __init_array_end[] __attribute__((visibility("hidden")));
void _init();

static void run_constructors(int argc, char** argv, char** environment) {
  for (Constructor* c = __preinit_array_start; c != __preinit_array_end; ++c) (*c)(argc, argv, environment);
  _init();
  for (Constructor* c = __init_array_start; c != __init_array_end; ++c) (*c)(argc, argv, environment);
}

int start_of_libc(Main, int, char**, Constructor, void (*)(), void (*)(), void*);
#ifdef __x86_64__
__asm__(".symver start_of_libc, __libc_start_main@GLIBC_2.2.5");
#else
__asm__(".symver start_of_libc, __libc_start_main@GLIBC_2.17");
#endif

__attribute__((visibility("hidden"), noreturn)) int mox_start(Main, int, char**, Constructor, void (*)(), void (*)(),
                                                              void*) __asm__("__libc_start_main");
int mox_start(Main main, int argc, char** argv, Constructor, void (*)(), void (*end_of_loader)(), void* stack) {
  start_of_libc(main, argc, argv, run_constructors, nullptr, end_of_loader, stack);
  __builtin_unreachable();
}

}  // extern "C"
