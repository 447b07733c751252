// Memory that ends at a page nobody may touch: a read or write past the end kills the test, on any processor.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

namespace coppice::test {

template <class T>
class Guarded {
 public:
  explicit Guarded(size_t length) : length_(length) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t pages = (length * sizeof(T) + page - 1) / page + 1;
    mapped_ = pages * page;
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(memory);
    char* guard = base_ + (pages - 1) * page;
    mprotect(guard, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(guard) - length;
    // 0xff..: not a number for floats, -1 for integers; what a kernel forgets to write shows.
    std::memset(base_, 0xff, (pages - 1) * page);
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return length_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  // Nothing before the first element was written.
  bool untouched_before() const {
    for (const char* p = base_; p < reinterpret_cast<const char*>(data_); ++p) {
      if (*p != static_cast<char>(0xff)) return false;
    }
    return true;
  }
  std::vector<T> values() const { return {data_, data_ + length_}; }

 private:
  size_t length_, mapped_;
  char* base_;
  T* data_;
};

}  // namespace coppice::test
