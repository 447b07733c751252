package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.child.Footprint;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Memory outside of the heap: whole, and given back when it is closed. */
final class NativeMemoryTest {

  private static final int LARGE = 64 << 20;

  /** Resident anonymous and file pages of this process, in bytes; pages of 4 to 64 KiB. */
  private static long resident() throws IOException {
    return Footprint.statusKibibytes("VmRSS") << 10;
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4095, 4097, 1 << 20})
  void shouldGiveZeroedBytes(int bytes) {
    try (NativeMemory memory = new NativeMemory(bytes)) {
      byte[] found = new byte[bytes];
      memory.bytes().get(found);
      assertThat(found).isEqualTo(new byte[bytes]);
      assertThat(memory.bytes().isDirect()).isTrue();
    }
  }

  @Test
  void shouldGiveItsMemoryBackWhenItIsClosed() throws IOException {
    NativeMemory memory = new NativeMemory(LARGE);
    ByteBuffer bytes = memory.bytes();
    byte[] ones = new byte[1 << 16];
    Arrays.fill(ones, (byte) 1);
    while (bytes.hasRemaining()) {
      bytes.put(ones);
    }
    long full = resident();
    memory.close();
    assertThat(resident()).isLessThan(full - LARGE / 2);
  }

  @Test
  void shouldRefuseUseAfterClosing() {
    NativeMemory memory = new NativeMemory(1);
    memory.close();
    memory.close();
    assertThatThrownBy(memory::bytes).isInstanceOf(IllegalStateException.class).hasMessage("This memory has been given back.");
  }

  @Test
  void shouldRefuseLessThanNothing() {
    assertThatThrownBy(() -> new NativeMemory(-1)).isInstanceOf(IllegalArgumentException.class).hasMessage("bytes must be at least 0: -1");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4096, LARGE + 1})
  void shouldReadAForgottenFileAgain(int size, @TempDir Path folder) throws IOException {
    byte[] content = new byte[size];
    Arrays.fill(content, (byte) 7);
    Path file = Files.write(folder.resolve("file"), content);
    try (FileChannel channel = FileChannel.open(file)) {
      MappedByteBuffer mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, size);
      mapped.load();
      long loaded = resident();
      NativeMemory.forget(mapped);
      assertThat(resident()).isLessThan(size < LARGE ? loaded + LARGE : loaded - LARGE / 2);
      assertThat(mapped).isEqualTo(ByteBuffer.wrap(content));
    }
  }

  @Test
  void shouldTrimWithoutHarm() {
    NativeMemory.trim();
    assertThat(OperatorLibrary.load().glibc()).isNotEmpty();
  }
}
