#include "isa.h"

#include <cstdlib>
#include <string>

namespace coppice {
namespace {

struct Body {
  const char* isa;
  const Kernels* kernels;  // null: this build lacks it
  bool runnable;           // this processor has it
};

struct Choice {
  const Kernels* runnable[5] = {};
  const Kernels* chosen = nullptr;
  std::string refusal;

  Choice() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    const Body bodies[] = {{"scalar", &scalar::kKernels, true},
                           {"neon", nullptr, false},
                           {"avx2", &avx2::kKernels, has_avx2},
                           {"avx512", &avx512::kKernels, has_avx512}};
#else  // 64-bit ARM: NEON is part of the base architecture
    const Body bodies[] = {{"scalar", &scalar::kKernels, true},
                           {"avx2", nullptr, false},
                           {"avx512", nullptr, false},
                           {"neon", &neon::kKernels, true}};
#endif
    size_t count = 0;
    std::string names;
    for (const Body& body : bodies) {
      if (!body.runnable) continue;
      runnable[count++] = chosen = body.kernels;
      names += (names.empty() ? "" : ", ") + std::string(body.isa);
    }
    const char* forced = std::getenv("COPPICE_ISA");
    if (forced == nullptr || *forced == '\0') return;
    chosen = nullptr;
    std::string reason = "no instruction set of Coppice has this name";
    for (const Body& body : bodies) {
      if (std::string(forced) != body.isa) continue;
      if (body.kernels == nullptr) {
        reason = "this build lacks it";
      } else if (!body.runnable) {
        reason = "this CPU lacks it";
      } else {
        chosen = body.kernels;
      }
    }
    if (chosen == nullptr) refusal = "COPPICE_ISA=" + std::string(forced) + ": " + reason + "; use one of " + names + ", or unset it.";
  }
};

const Choice& choice() {
  static const Choice made;
  return made;
}

}  // namespace

const Kernels* const* runnable_kernels() { return choice().runnable; }
const Kernels* chosen_kernels() { return choice().chosen; }
const char* choice_refusal() { return choice().refusal.c_str(); }

}  // namespace coppice
