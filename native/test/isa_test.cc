// The choice of an instruction set, against what the system says of the processor.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bodies.h"

namespace coppice::test {
namespace {

std::string names(const std::vector<const Kernels*>& all) {
  std::string text;
  for (const Kernels* kernels : all) text += (text.empty() ? "" : ",") + std::string(kernels->isa);
  return text;
}

// COPPICE_EXPECT_ISAS, which a test run under an emulator sets; else what /proc/cpuinfo lists.
std::string expected_names() {
  if (const char* given = std::getenv("COPPICE_EXPECT_ISAS")) return given;
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line, flags;
  while (std::getline(cpuinfo, line) && flags.empty()) {
    if (line.rfind("flags", 0) == 0 || line.rfind("Features", 0) == 0) flags = line + " ";
  }
  const auto has = [&](const char* flag) { return flags.find(std::string(" ") + flag + " ") != std::string::npos; };
#if defined(__aarch64__)
  return has("asimddp") ? "scalar,neon,neon_dotprod" : "scalar,neon";
#else
  std::string text = "scalar";
  if (!has("avx2") || !has("fma")) return text;
  text += ",avx2";
  if (!has("avx512f") || !has("avx512vl") || !has("avx512dq") || !has("avx512bw")) return text;
  text += ",avx512";
  return has("avx512_vnni") ? text + ",avx512_vnni" : text;
#endif
}

TEST(Isa, ShouldListWhatTheProcessorRuns) { EXPECT_EQ(names(runnable()), expected_names()); }

TEST(Isa, ShouldTakeTheFastestUnlessForced) {
  EXPECT_EQ(choose_kernels(nullptr).chosen, runnable().back());
  EXPECT_EQ(choose_kernels("").chosen, runnable().back());
}

TEST(Isa, ShouldFollowTheEnvironment) {
  const char* forced = std::getenv("COPPICE_ISA");
  EXPECT_STREQ(kernel_choice().chosen->isa, forced ? forced : runnable().back()->isa);
}

TEST(Isa, ShouldTakeEachBodyByName) {
  for (const Kernels* kernels : runnable()) EXPECT_EQ(choose_kernels(kernels->isa).chosen, kernels) << kernels->isa;
}

TEST(Isa, ShouldRefuseANameThatNoneHas) {
  const Choice choice = choose_kernels("sse9");
  EXPECT_EQ(choice.chosen, nullptr);
  std::string list = expected_names();
  for (size_t at = 0; (at = list.find(',', at)) != std::string::npos; at += 2) list.replace(at, 1, ", ");
  EXPECT_EQ(choice.refusal, "COPPICE_ISA=sse9: no instruction set of Coppice has this name; use one of " + list + ", or unset it.");
}

TEST(Isa, ShouldSayWhenThisBuildLacksIt) {
#if defined(__aarch64__)
  const Choice choice = choose_kernels("avx2");
#else
  const Choice choice = choose_kernels("neon");
#endif
  EXPECT_EQ(choice.chosen, nullptr);
  EXPECT_NE(choice.refusal.find("this build lacks it"), std::string::npos) << choice.refusal;
}

TEST(Isa, ShouldSayWhenThisProcessorLacksIt) {
#if defined(__aarch64__)
  const std::string best = "neon_dotprod";
#else
  const std::string best = "avx512_vnni";
#endif
  if (runnable().back()->isa == best) GTEST_SKIP() << "this processor has every instruction set of the build";
  const Choice choice = choose_kernels(best.c_str());
  EXPECT_EQ(choice.chosen, nullptr);
  EXPECT_NE(choice.refusal.find("this CPU lacks it"), std::string::npos) << choice.refusal;
}

}  // namespace
}  // namespace coppice::test
