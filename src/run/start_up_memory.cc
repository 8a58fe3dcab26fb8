#include "run/start_up_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>

#include "devices/host_memory.h"

namespace mox {
namespace {

// Segments that were never written: what is dropped there is read again from the file. Relocated data (RELRO) lies in a
// writable segment and stays.
int release_read_only_segments(dl_phdr_info* library, size_t, void*) {
  if (std::string_view(library->dlpi_name).find("libtensorflow") == std::string_view::npos) return 0;
  const uintptr_t page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || segment.p_flags & PF_W) continue;
    // Whole pages only: the ones at the ends may be shared with a neighbour.
    const uintptr_t begin = (library->dlpi_addr + segment.p_vaddr + page - 1) / page * page;
    const uintptr_t end = (library->dlpi_addr + segment.p_vaddr + segment.p_filesz) / page * page;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the linker's table has addresses as numbers
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void release_start_up_memory() {
  malloc_trim(0);
  dl_iterate_phdr(release_read_only_segments, nullptr);
}

void release_step_memory() {
  malloc_trim(0);
  release_free_host_memory();
}

}  // namespace mox
