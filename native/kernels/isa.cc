#include "isa.h"

#include <cstdlib>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace coppice {
namespace {

struct Body {
  const char* isa;
  const Kernels* kernels;  // null: this build lacks it
  bool runnable;           // this processor has it
};

// An extension that attention has no use for: the bodies of what it extends, under its own name.
Kernels named(const char* isa, Kernels kernels) {
  kernels.isa = isa;
  return kernels;
}

}  // namespace

Choice choose_kernels(const char* forced) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  static const Kernels vnni = named("avx512_vnni", avx512::kKernels);
  const Body bodies[] = {{"scalar", &scalar::kKernels, true},
                         {"neon", nullptr, false},
                         {"neon_dotprod", nullptr, false},
                         {"avx2", &avx2::kKernels, has_avx2},
                         {"avx512", &avx512::kKernels, has_avx512},
                         {"avx512_vnni", &vnni, has_avx512 && __builtin_cpu_supports("avx512vnni")}};
#else  // 64-bit ARM: NEON is part of the base architecture
  static const Kernels dotprod = named("neon_dotprod", neon::kKernels);
  const Body bodies[] = {{"scalar", &scalar::kKernels, true},
                         {"avx2", nullptr, false},
                         {"avx512", nullptr, false},
                         {"avx512_vnni", nullptr, false},
                         {"neon", &neon::kKernels, true},
                         {"neon_dotprod", &dotprod, (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0}};
#endif
  Choice choice;
  size_t count = 0;
  std::string names;
  for (const Body& body : bodies) {
    if (!body.runnable) continue;
    choice.runnable[count++] = choice.chosen = body.kernels;
    names += (names.empty() ? "" : ", ") + std::string(body.isa);
  }
  if (forced == nullptr || *forced == '\0') return choice;
  choice.chosen = nullptr;
  std::string reason = "no instruction set of Coppice has this name";
  for (const Body& body : bodies) {
    if (std::string(forced) != body.isa) continue;
    if (body.kernels == nullptr) {
      reason = "this build lacks it";
    } else if (!body.runnable) {
      reason = "this CPU lacks it";
    } else {
      choice.chosen = body.kernels;
    }
  }
  if (choice.chosen == nullptr) {
    choice.refusal = "COPPICE_ISA=" + std::string(forced) + ": " + reason + "; use one of " + names + ", or unset it.";
  }
  return choice;
}

const Choice& kernel_choice() {
  static const Choice made = choose_kernels(std::getenv("COPPICE_ISA"));
  return made;
}

}  // namespace coppice
