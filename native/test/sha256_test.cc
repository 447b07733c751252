// The examples of FIPS 180-4's authors (NIST, "SHA-256 examples"). Every length and alignment is compared with the JDK's in Sha256Test.java.
#include "sha256.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace coppice {
namespace {

std::string hash(const std::string& text) {
  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(text.data());
  const size_t blocks = text.size() / kSha256Block;
  Sha256State state;
  sha256_blocks(&state, bytes, blocks);
  uint8_t digest[kSha256Bytes];
  sha256_finish(state, bytes + blocks * kSha256Block, text.size(), digest);
  std::string digits;
  for (const uint8_t byte : digest) digits += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return digits;
}

class Sha256 : public testing::Test {
 protected:
  void SetUp() override {
    // The processors that COPPICE_EXPECT_ISAS speaks of, emulated ones, have them.
    ASSERT_TRUE(sha256_runs() || !std::getenv("COPPICE_EXPECT_ISAS"));
    if (!sha256_runs()) GTEST_SKIP() << "this processor has no instructions for SHA-256";
  }
};

TEST_F(Sha256, GivesThePublishedHashOfNothing) { EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); }

TEST_F(Sha256, GivesThePublishedHashOfThreeLetters) {
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(Sha256, GivesThePublishedHashOfTwoBlocks) {
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_F(Sha256, GivesThePublishedHashOfAMillionLetters) {
  EXPECT_EQ(hash(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace coppice
