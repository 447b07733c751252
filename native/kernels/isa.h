// The choice of an instruction set: made once, listed, forced by COPPICE_ISA, read back.
#pragma once

#include <string>

#include "attention.h"

namespace coppice {

// What this build and this processor offer, and which of it `forced` picks.
struct Choice {
  const Kernels* runnable[6] = {};  // slowest first; ends with a null pointer
  const Kernels* chosen = nullptr;  // null: `forced` names none that can run here
  std::string refusal;              // why, in one sentence; empty otherwise
};

// forced: the name of an instruction set; null or empty takes the fastest.
Choice choose_kernels(const char* forced);

// The choice in force in this process, by the environment variable COPPICE_ISA.
const Choice& kernel_choice();

}  // namespace coppice
