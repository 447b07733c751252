// SHA-256 by the SHA2 instructions of ARMv8's cryptographic extension: four rounds and four words of the message's schedule at a time.
#include <arm_neon.h>

#include "sha256.h"

namespace coppice::neon_sha2 {

void sha256_blocks(Sha256State* state, const uint8_t* data, size_t blocks) {
  uint32x4_t abcd = vld1q_u32(state->words);
  uint32x4_t efgh = vld1q_u32(state->words + 4);
  for (; blocks > 0; --blocks, data += kSha256Block) {
    const uint32x4_t abcd_before = abcd;
    const uint32x4_t efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
#pragma GCC unroll 16
    for (int four = 0; four < 16; ++four) {
      const uint32x4_t sum = vaddq_u32(w[four % 4], vld1q_u32(kSha256Rounds + 4 * four));
      const uint32x4_t abcd_now = abcd;
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, abcd_now, sum);
      if (four < 12) {
        w[four % 4] = vsha256su1q_u32(vsha256su0q_u32(w[four % 4], w[(four + 1) % 4]), w[(four + 2) % 4], w[(four + 3) % 4]);
      }
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state->words, abcd);
  vst1q_u32(state->words + 4, efgh);
}

}  // namespace coppice::neon_sha2
