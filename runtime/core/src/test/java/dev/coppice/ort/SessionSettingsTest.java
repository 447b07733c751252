package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnxruntime.OrtEnvironment;
import dev.coppice.api.EngineOptions;
import dev.coppice.api.EngineOptions.Memory;
import dev.coppice.api.OpenOptions;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Board, bundle and caller make one set of session options. */
final class SessionSettingsTest {

  @TempDir private Path root;

  @BeforeEach
  void makeProc() throws IOException {
    Files.createDirectories(root.resolve("proc"));
  }

  private SessionSettings of(EngineOptions engine) {
    return SessionSettings.of(OpenOptions.defaults().withThreads(2).withEngine(engine), root);
  }

  @ParameterizedTest
  @CsvSource({"437852, true", "655360, true", "655361, false", "1905000, false"}) // a Raspberry Pi Zero 2 W shows 437852 kB
  void shouldSaveMemoryWhereTheMachineHasLittle(long totalKib, boolean low) throws IOException {
    Files.writeString(root.resolve("proc/meminfo"), "MemTotal:         " + totalKib + " kB\nMemFree:          100000 kB\n");
    assertThat(of(EngineOptions.defaults()).low()).isEqualTo(low);
  }

  @Test
  void shouldNotSaveMemoryWhereNothingIsKnown() {
    assertThat(of(EngineOptions.defaults()).low()).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"LOW, true", "NORMAL, false"})
  void shouldLetTheCallerSayWhetherToSaveMemory(Memory memory, boolean low) throws IOException {
    Files.writeString(root.resolve("proc/meminfo"), "MemTotal: 600000 kB\n");
    assertThat(of(EngineOptions.defaults().withMemory(memory)).low()).isEqualTo(low);
  }

  @Test
  void shouldLetThreadsSleepUnlessAskedOtherwise() {
    assertThat(of(EngineOptions.defaults()).config()).containsEntry("session.intra_op.allow_spinning", "0");
    assertThat(of(EngineOptions.defaults().withSpinning(true)).config()).containsEntry("session.intra_op.allow_spinning", "1");
  }

  @Test
  void shouldPutTheCallersEntriesAboveItsOwn() {
    EngineOptions engine = EngineOptions.defaults().withMemory(Memory.LOW);
    assertThat(of(engine).config()).containsEntry("session.disable_prepacking", "1");
    assertThat(of(engine.withConfig(Map.of("session.disable_prepacking", "0"))).config()).containsEntry("session.disable_prepacking", "0");
  }

  @ParameterizedTest
  @CsvSource({"session.dynamic_block_bas, 4, session.dynamic_block_bas", "session.dynamic_block_base, many, session.dynamic_block_base",
    "session.set_denormal_as_zero, true, session.set_denormal_as_zero", "session.intra_op.allow_spinning, 1, session.intra_op.allow_spinning",
    "session.intra_op_thread_affinities, 1;, session.intra_op_thread_affinities"})
  void shouldRefuseAnEntryThatOnnxRuntimeWouldTakeInSilence(String key, String value, String named) {
    assertThatThrownBy(() -> of(EngineOptions.defaults().withConfig(Map.of(key, value)))).isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("config ").hasMessageContaining(named);
  }

  static Iterable<String> keys() {
    return SessionKeys.names();
  }

  @ParameterizedTest
  @MethodSource("keys")
  void shouldOfferOnlyEntriesThatThisOnnxRuntimeKnows(String key) throws IOException {
    String arch = System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x64";
    try (InputStream in = OrtEnvironment.class.getResourceAsStream("/ai/onnxruntime/native/linux-" + arch + "/libonnxruntime.so")) {
      assertThat(new String(in.readAllBytes(), StandardCharsets.ISO_8859_1)).contains(key);
    }
  }
}
