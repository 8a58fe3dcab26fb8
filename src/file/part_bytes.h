// The bytes of a part that is coming together. malloc keeps freed blocks of this size for later: an object of 10 GiB
// then needs 30 MiB more than what is in use.
#pragma once

#include <sys/mman.h>

#include <new>
#include <string>

namespace mox::file {

// Large blocks straight from the system, and back to it.
template <typename Byte>
struct PageAllocator {
  static_assert(sizeof(Byte) == 1);
  using value_type = Byte;
  static constexpr size_t kLarge = 1 << 20;

  Byte* allocate(size_t size) {
    if (size < kLarge) return static_cast<Byte*>(::operator new(size));
    void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return static_cast<Byte*>(pages);
  }
  void deallocate(Byte* data, size_t size) {
    if (size < kLarge)
      ::operator delete(data);
    else
      ::munmap(data, size);
  }
  bool operator==(const PageAllocator&) const { return true; }
};

using PartBytes = std::basic_string<char, std::char_traits<char>, PageAllocator<char>>;

}  // namespace mox::file
