// Sees the memory that libcoppice_ops takes from operator new and from ONNX Runtime's allocator, and can refuse it.
#pragma once

#include <cstddef>

namespace coppice::test {

// Which of the library's allocations fail while a Watch lives: none, the n-th (from 1) alone, or the n-th and all later ones.
struct Failure {
  size_t at = 0;
  bool and_later = false;
};

// One at a time in the process.
class Watch {
 public:
  explicit Watch(Failure failure = {});
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  size_t count() const;
  size_t bytes() const;
  // Whether there was an allocation to refuse.
  bool refused() const;
};

}  // namespace coppice::test
