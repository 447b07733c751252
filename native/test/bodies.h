// Runs a suite once for each instruction set's body that this machine can run.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "isa.h"

namespace coppice::test {

// Every instruction set that this machine can run.
inline std::vector<const Kernels*> runnable() {
  std::vector<const Kernels*> all;
  for (const Kernels* const* kernels = kernel_choice().runnable; *kernels != nullptr; ++kernels) all.push_back(*kernels);
  return all;
}

// Those with bodies for every operator: not the extensions that only linear layers use.
inline std::vector<const Kernels*> bodies() {
  std::vector<const Kernels*> own;
  for (const Kernels* kernels : runnable()) {
    if (own.empty() || own.back()->softmax_rows != kernels->softmax_rows) own.push_back(kernels);
  }
  return own;
}

}  // namespace coppice::test
