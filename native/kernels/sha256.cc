#include "sha256.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace coppice {

const uint32_t kSha256Rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

bool sha256_runs() noexcept {
#if defined(__x86_64__)
  unsigned a, b, c, d;  // __builtin_cpu_supports of gcc 12 does not know them
  return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
#else
  return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#endif
}

void sha256_blocks(Sha256State* state, const uint8_t* data, size_t blocks) noexcept {
#if defined(__x86_64__)
  sha_ni::sha256_blocks(state, data, blocks);
#else
  neon_sha2::sha256_blocks(state, data, blocks);
#endif
}

void sha256_finish(Sha256State state, const uint8_t* rest, uint64_t bytes, uint8_t* digest) noexcept {
  const size_t left = bytes % kSha256Block;
  const size_t blocks = left < kSha256Block - sizeof(uint64_t) ? 1 : 2;  // a bit of 1 and the length need room
  uint8_t end[2 * kSha256Block] = {};
  std::memcpy(end, rest, left);
  end[left] = 0x80;
  for (size_t i = 0; i < sizeof(uint64_t); ++i) end[blocks * kSha256Block - 1 - i] = static_cast<uint8_t>(8 * bytes >> 8 * i);
  sha256_blocks(&state, end, blocks);
  for (size_t i = 0; i < kSha256Bytes; ++i) digest[i] = static_cast<uint8_t>(state.words[i / 4] >> (24 - i % 4 * 8));
}

}  // namespace coppice
