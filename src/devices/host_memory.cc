// Where the tensors of a process lie. Loading the library gives TensorFlow an allocator for CPUs (as it gives it
// operations and file systems) that has large tensors in one region of address space: pages that one tensor left serve
// the next, whatever their sizes. TensorFlow's own grows by regions that double, keeps an index of 3% of them, and
// leaves up to half of a piece unused (below 128 MiB). Huge pages were tried: no step was faster, and a
// run of ten took two seconds longer.
//
// Not where tensors were made before the library was loaded (a Python script that computes before it imports us), where
// the address space cannot be had (ulimit -v), and with MOX_HOST_MEMORY=0 (to compare).
#include "devices/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/environment.h"
#include "devices/region_pieces.h"
#include "moxing/error.h"
#include "tensorflow/core/common_runtime/pool_allocator.h"
#include "tensorflow/core/framework/allocator.h"
#include "tensorflow/core/framework/allocator_registry.h"
#include "tensorflow/core/platform/mem.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// What malloc serves well. TensorFlow's own leaves the same to it.
constexpr size_t kSmall = size_t{256} << 10;
// TensorFlow's best has 200.
constexpr int kPriority = 1000;

// As large as the machine's memory, of which no page is taken yet. nullptr: there is none.
RegionPieces* reserve() {
  const size_t memory = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const place = mmap(nullptr, memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return nullptr;
  return new RegionPieces(static_cast<char*>(place), memory);
}

class HostMemory : public tf::Allocator {
 public:
  explicit HostMemory(RegionPieces* region) : region_(region) {}

  std::string Name() override { return "moxing"; }
  void* AllocateRaw(size_t alignment, size_t bytes) override {
    if (bytes < kSmall || alignment > RegionPieces::kAlignment)
      return tsl::port::AlignedMalloc(bytes, static_cast<std::align_val_t>(alignment));
    return region_->take(bytes);
  }
  void DeallocateRaw(void* place) override {
    if (region_->has(place))
      region_->give_back(static_cast<char*>(place));
    else
      tsl::port::AlignedFree(place);
  }
  tsl::AllocatorMemoryType GetMemoryType() const override { return tsl::AllocatorMemoryType::kHostPageable; }

 private:
  RegionPieces* const region_;
};

class HostMemoryFactory : public tsl::AllocatorFactory {
 public:
  explicit HostMemoryFactory(RegionPieces* region) : region_(region) {}
  tsl::Allocator* CreateAllocator() override { return new HostMemory(region_); }
  // For allocators of TensorFlow's that have regions of their own.
  tsl::SubAllocator* CreateSubAllocator(int numa_node) override { return new tf::BasicCPUAllocator(numa_node, {}, {}); }

 private:
  RegionPieces* const region_;
};

bool is_wanted() {
  try {
    return bool_in_environment("MOX_HOST_MEMORY").value_or(true);
  } catch (const InvalidArgumentError&) {  // while a library is loaded nobody could catch it: a session throws it
    return true;
  }
}

// The allocator that is asked for first stays, and registering another then ends the process.
RegionPieces* offer() {
  auto* const registry = tsl::AllocatorFactoryRegistry::singleton();
  if (registry->first_alloc_made_ || !is_wanted()) return nullptr;
  RegionPieces* const region = reserve();  // tensors may live as long as the process
  if (region) registry->Register(__FILE__, __LINE__, "moxing", kPriority, new HostMemoryFactory(region));
  return region;
}

RegionPieces* const offered = offer();  // nullptr: tensors lie elsewhere

}  // namespace

void release_free_host_memory() {
  if (!offered) return;
  // Who takes a tensor meanwhile finds the rest; the last free piece is most of the machine's memory, and untouched.
  constexpr size_t kAtOnce = size_t{256} << 20;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  char* from = nullptr;
  for (;;) {
    const auto [piece, size] = offered->take_behind(from, kAtOnce);
    if (!piece) return;
    const size_t before = (page - reinterpret_cast<uintptr_t>(piece) % page) % page;
    if (size > before) madvise(piece + before, (size - before) / page * page, MADV_DONTNEED);
    from = piece + size;
    offered->give_back(piece);
  }
}

}  // namespace mox
