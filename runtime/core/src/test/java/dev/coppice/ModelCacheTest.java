package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.Classifier;
import dev.coppice.api.EngineOptions;
import dev.coppice.api.EngineOptions.Memory;
import dev.coppice.api.NativeException;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Protobuf;
import dev.coppice.bundle.ShippedBundle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Optimised models that are kept: right, used again, and never used when they are not what was kept. */
final class ModelCacheTest {

  @TempDir private Path folder;
  private Path cache;

  @BeforeEach
  void nameFolder() {
    cache = folder.resolve("cache");
  }

  /** Opens the bundle by way of the cache and runs its golden cases. */
  private void open(Path bundle, Memory memory) {
    EngineOptions engine = EngineOptions.defaults().withModelCache(cache).withMemory(memory);
    try (Classifier classifier = Coppice.open(bundle, OpenOptions.defaults().withThreads(1).withEngine(engine))) {
      classifier.selfTest();
    }
  }

  private List<Path> kept() throws IOException {
    try (Stream<Path> files = Files.list(cache)) {
      return files.toList();
    }
  }

  private static Object inode(Path file) throws IOException {
    return Files.getAttribute(file, "unix:ino");
  }

  @ParameterizedTest
  @EnumSource(value = Memory.class, names = {"NORMAL", "LOW"})
  void shouldComputeTheGoldenLogitsFromTheKeptModel(Memory memory) throws IOException {
    open(ShippedBundle.FOLDER, memory);
    assertThat(kept()).hasSize(1);
    Object first = inode(kept().get(0));
    open(ShippedBundle.FOLDER, memory);
    assertThat(kept()).hasSize(1);
    assertThat(inode(kept().get(0))).isEqualTo(first);
  }

  @Test
  void shouldKeepAModelForEachWayOfRunningIt() throws IOException {
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    open(ShippedBundle.FOLDER, Memory.LOW);
    assertThat(kept()).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1_000_000, -1})
  void shouldMakeAnAlteredModelAgain(int at) throws IOException {
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    Path model = kept().get(0);
    byte[] altered = Files.readAllBytes(model);
    altered[at < 0 ? altered.length - 1 : at] ^= 1;
    Files.write(model, altered);
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    assertThat(kept()).hasSize(1);
    assertThat(Files.readAllBytes(kept().get(0))).isNotEqualTo(altered);
  }

  @Test
  void shouldMakeAModelAgainThatOnnxRuntimeRefuses() throws Exception {
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    Path model = kept().get(0);
    String key = model.getFileName().toString().replaceFirst("\\.[0-9a-f]{8}$", "");
    Files.delete(model);
    byte[] other = "no model, and its sum is right".getBytes(StandardCharsets.UTF_8);
    CRC32 sum = new CRC32();
    sum.update(other);
    Path wrong = Files.write(cache.resolve(String.format("%s.%08x", key, sum.getValue())), other);
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    assertThat(kept()).hasSize(1).doesNotContain(wrong);
  }

  /** What runs is what the manifest names, whatever became of the file since; who does without the kept model reads the file. */
  @Test
  void shouldNotReadAGraphWhoseOptimisedFormIsKept() throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    open(copy, Memory.NORMAL);
    byte[] graph = Files.readAllBytes(copy.resolve("model.onnx"));
    graph[graph.length / 2] ^= 1;
    Files.write(copy.resolve("model.onnx"), graph);
    open(copy, Memory.NORMAL);
    assertThatThrownBy(() -> open(copy, Memory.LOW)).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.changed");
    assertThatThrownBy(() -> Coppice.verify(copy, Trust.off())).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.changed");
  }

  @Test
  void shouldUseNoKeptModelOfAnotherHash() throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    open(copy, Memory.NORMAL);
    ShippedBundle.replace(copy, "model.onnx", "no graph".getBytes(StandardCharsets.UTF_8));
    assertThatThrownBy(() -> open(copy, Memory.NORMAL)).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.model");
  }

  @Test
  void shouldOpenABundleWhoseCacheCannotBeWritten() throws IOException {
    Files.writeString(folder.resolve("cache"), "a file");
    cache = folder.resolve("cache/below");
    open(ShippedBundle.FOLDER, Memory.NORMAL);
    assertThat(folder.resolve("cache")).hasContent("a file");
  }

  @Test
  void shouldRefuseAFolderThatOthersCanWriteTo() throws IOException {
    Files.createDirectory(cache);
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertThatThrownBy(() -> open(ShippedBundle.FOLDER, Memory.NORMAL)).isInstanceOf(NativeException.class)
        .hasMessageContaining("mode rwxrwxrwx").hasMessageEndingWith("; correct it with chmod 700, or name another folder for optimised models.");
  }

  @Test
  void shouldKeepNothingOfAModelThatIsNone() throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    ShippedBundle.replace(copy, "model.onnx", new Protobuf().with(1, 10).bytes()); // which only ONNX Runtime refuses
    assertThatThrownBy(() -> open(copy, Memory.NORMAL)).isInstanceOf(BundleException.class);
    assertThat(kept()).isEmpty();
  }
}
