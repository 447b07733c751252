#include "allocations.h"

#include <execinfo.h>
#include <link.h>
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace coppice::test {
namespace {

std::atomic<bool> watching{false};
std::atomic<size_t> allocations{0}, allocated{0};
std::atomic<bool> has_refused{false};
Failure wanted;

// Where a loaded library's code lies.
struct Extent {
  const char* name;
  uintptr_t begin = 0, end = 0;
  bool holds(const void* address) const {
    const auto at = reinterpret_cast<uintptr_t>(address);
    return begin <= at && at < end;
  }
};

Extent extent(const char* name) {
  Extent found{name};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& wanted_extent = *static_cast<Extent*>(data);
        if (std::strstr(info->dlpi_name, wanted_extent.name) == nullptr) return 0;
        wanted_extent.begin = UINTPTR_MAX;
        for (size_t i = 0; i < info->dlpi_phnum; ++i) {
          const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
          if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
          wanted_extent.begin = std::min(wanted_extent.begin, begin);
          wanted_extent.end = std::max(wanted_extent.end, begin + info->dlpi_phdr[i].p_memsz);
        }
        return 1;
      },
      &found);
  return found;
}

// Whether the library asks, itself or through std::string, and not ONNX Runtime on its behalf.
bool library_asks() {
  static const Extent ours = extent("libcoppice_ops.so"), runtime = extent("libonnxruntime.so");
  void* frames[12];
  const int depth = backtrace(frames, 12);
  for (int i = 0; i < depth; ++i) {
    if (ours.holds(frames[i])) return true;
    if (runtime.holds(frames[i])) return false;
  }
  return false;
}

// Counts an allocation of the library; true if it must fail.
bool refuse(size_t bytes) {
  const size_t number = ++allocations;
  allocated += bytes;
  const bool fails = wanted.at != 0 && (number == wanted.at || (wanted.and_later && number > wanted.at));
  if (fails) has_refused = true;
  return fails;
}

bool refuse_library(size_t bytes) {
  if (!watching) return false;
  // The first walk up the stack loads libgcc, which allocates.
  thread_local bool asking = false;
  if (asking) return false;
  asking = true;
  const bool ours = library_asks();
  asking = false;
  return ours && refuse(bytes);
}

// ONNX Runtime's default allocator is a table of functions in writable memory.
decltype(OrtAllocator::Alloc) runtime_alloc = nullptr;
void* ORT_API_CALL watched_alloc(OrtAllocator* allocator, size_t bytes) {
  return refuse_library(bytes) ? nullptr : runtime_alloc(allocator, bytes);
}

void hook_runtime() {
  OrtAllocator* allocator = Ort::AllocatorWithDefaultOptions();
  if (runtime_alloc != nullptr) return;
  runtime_alloc = allocator->Alloc;
  allocator->Alloc = watched_alloc;
}

}  // namespace

Watch::Watch(Failure failure) {
  hook_runtime();
  allocations = allocated = 0;
  has_refused = false;
  wanted = failure;
  watching = true;
}

Watch::~Watch() { watching = false; }
size_t Watch::count() const { return allocations; }
size_t Watch::bytes() const { return allocated; }
bool Watch::refused() const { return has_refused; }

}  // namespace coppice::test

// The program's own operators new and delete serve every library in it.
namespace {
void* take(size_t bytes, size_t alignment) noexcept {
  if (coppice::test::refuse_library(bytes)) return nullptr;
  bytes = std::max<size_t>(bytes, 1);
  void* memory = nullptr;
  if (alignment == 0) return std::malloc(bytes);
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}
void* take_or_throw(size_t bytes, size_t alignment) {
  void* memory = take(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(size_t n) { return take_or_throw(n, 0); }
void* operator new[](size_t n) { return take_or_throw(n, 0); }
void* operator new(size_t n, std::align_val_t a) { return take_or_throw(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, std::align_val_t a) { return take_or_throw(n, static_cast<size_t>(a)); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return take(n, 0); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return take(n, 0); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return take(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return take(n, static_cast<size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
