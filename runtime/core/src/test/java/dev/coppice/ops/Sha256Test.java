package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The processor's SHA-256 beside the JDK's, at the lengths where padding needs another block, blocks end, and pieces of an array end. */
final class Sha256Test {

  private static final byte[] BYTES = new byte[40_000];
  private static final int FROM = 3; // no alignment that anybody could hope for

  @BeforeAll
  static void loadLibrary() {
    OperatorLibrary.load();
    new Random(1).nextBytes(BYTES);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 997, 16_383, 16_384, 16_385, 32_768, 39_989})
  void shouldEqualTheJdksOfAnArray(int length) {
    assertThat(Sha256.of(ByteBuffer.wrap(BYTES, FROM, length))).isEqualTo(byJdk(length));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 997, 16_383, 16_384, 16_385, 32_768, 39_989})
  void shouldEqualTheJdksOfMemoryOutsideOfTheHeap(int length) {
    ByteBuffer memory = ByteBuffer.allocateDirect(BYTES.length).put(BYTES).position(FROM).limit(FROM + length);
    assertThat(Sha256.of(memory)).isEqualTo(byJdk(length));
    assertThat(memory.position()).isEqualTo(FROM);
  }

  @Test
  void shouldCountFromWhereASliceBegins() {
    assertThat(Sha256.of(ByteBuffer.wrap(BYTES).slice(FROM - 1, 101).position(1))).isEqualTo(byJdk(100));
  }

  @Test
  void shouldHashAnArrayThatItMayOnlyRead() {
    assertThat(Sha256.of(ByteBuffer.wrap(BYTES, FROM, 100).asReadOnlyBuffer())).isEqualTo(byJdk(100));
  }

  @Test
  void shouldUseTheInstructionsThatLinuxNames() throws IOException {
    assumeThat(Files.readString(Path.of("/proc/cpuinfo"))).as("/proc/cpuinfo").containsPattern("\\b(sha_ni|sha2)\\b");
    assertThat(NativeOps.sha256(null, BYTES, 0, 1, new byte[32])).isTrue();
  }

  private static String byJdk(int length) {
    return HexFormat.of().formatHex(Sha256.byJdk(ByteBuffer.wrap(BYTES, FROM, length)));
  }
}
