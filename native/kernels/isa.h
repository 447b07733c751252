// The choice of an instruction set: made once, listed, forced by COPPICE_ISA, read back.
#pragma once

#include "attention.h"

namespace coppice {

// The bodies that this build has and this processor can run, slowest first. Ends with a null pointer.
const Kernels* const* runnable_kernels();

// The body in use: the one COPPICE_ISA names, else the last runnable one. Null if COPPICE_ISA names none that can run.
const Kernels* chosen_kernels();

// Why chosen_kernels() is null, in one sentence; empty otherwise.
const char* choice_refusal();

}  // namespace coppice
