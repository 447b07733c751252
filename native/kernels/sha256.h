// SHA-256 (FIPS 180-4) by the instructions that a processor may have for it. Any alignment; nothing overlaps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

constexpr size_t kSha256Block = 64;  // bytes
constexpr size_t kSha256Bytes = 32;

struct Sha256State {
  uint32_t words[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
};

// The constants of the 64 rounds: fractional parts of the cube roots of the first primes.
extern const uint32_t kSha256Rounds[64];

// Whether this processor has the instructions; without them nothing else here may be called.
bool sha256_runs() noexcept;

// Takes in data[blocks][64].
void sha256_blocks(Sha256State* state, const uint8_t* data, size_t blocks) noexcept;

// Takes in the rest of a message of so many bytes, rest[bytes % 64], and gives the hash, digest[32].
void sha256_finish(Sha256State state, const uint8_t* rest, uint64_t bytes, uint8_t* digest) noexcept;

namespace sha_ni {
void sha256_blocks(Sha256State* state, const uint8_t* data, size_t blocks);
}
namespace neon_sha2 {
void sha256_blocks(Sha256State* state, const uint8_t* data, size_t blocks);
}

}  // namespace coppice
