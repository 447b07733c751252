// Memory that ends at a page nobody may touch: a read or write past the end kills the test, on any processor.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <map>
#include <new>
#include <vector>

namespace coppice::test {

// `pages` pages and an untouchable one behind them. Kept for the next user: mapping costs more than most kernels run.
class GuardedPages {
 public:
  explicit GuardedPages(size_t length) : pages_((length + page() - 1) / page()) {
    std::vector<char*>& kept = unused()[pages_];
    if (!kept.empty()) {
      base_ = kept.back();
      kept.pop_back();
      return;
    }
    void* memory = mmap(nullptr, (pages_ + 1) * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(memory);
    mprotect(guard(), page(), PROT_NONE);
  }
  ~GuardedPages() { unused()[pages_].push_back(base_); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  char* base() const { return base_; }
  char* guard() const { return base_ + pages_ * page(); }

 private:
  static size_t page() {
    static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return size;
  }
  static std::map<size_t, std::vector<char*>>& unused() {
    thread_local std::map<size_t, std::vector<char*>> kept;
    return kept;
  }

  size_t pages_;
  char* base_;
};

template <class T>
class Guarded {
 public:
  explicit Guarded(size_t length) : pages_(length * sizeof(T)), length_(length), data_(reinterpret_cast<T*>(pages_.guard()) - length) {
    // 0xff..: not a number for floats, -1 for integers; what a kernel forgets to write shows.
    std::memset(pages_.base(), 0xff, static_cast<size_t>(pages_.guard() - pages_.base()));
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return length_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  // Nothing before the first element was written.
  bool untouched_before() const {
    const char* const base = pages_.base();
    const auto length = static_cast<size_t>(reinterpret_cast<const char*>(data_) - base);
    return length == 0 || (*base == static_cast<char>(0xff) && std::memcmp(base, base + 1, length - 1) == 0);
  }
  std::vector<T> values() const { return {data_, data_ + length_}; }

 private:
  GuardedPages pages_;
  size_t length_;
  T* data_;
};

}  // namespace coppice::test
