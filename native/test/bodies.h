// Runs a suite once for each instruction set's body that this machine can run.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "isa.h"

namespace coppice::test {

inline std::vector<const Kernels*> bodies() {
  std::vector<const Kernels*> all;
  for (const Kernels* const* kernels = kernel_choice().runnable; *kernels != nullptr; ++kernels) all.push_back(*kernels);
  return all;
}

}  // namespace coppice::test
