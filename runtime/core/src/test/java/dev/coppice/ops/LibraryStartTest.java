package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.Coppice;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Diagnose;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How a fresh JVM finds, checks and loads the operator library. */
@Tag("child-jvm")
final class LibraryStartTest {

  @TempDir private Path folder;

  @Test
  void shouldUnpackIntoTheFolderThatThePropertyNames() throws Exception {
    ChildJvm.End end = new ChildJvm().with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).contains("library=" + folder.resolve("cache/libcoppice_ops-"));
    assertThat(end.code()).isZero();
  }

  @Test
  void shouldUnpackIntoTheCacheOfTheEnvironmentWithoutAProperty() throws Exception {
    assertThat(new ChildJvm().withEnvironment("XDG_CACHE_HOME", folder).run().output()).contains("library="
        + folder.resolve("coppice/libcoppice_ops-"));
  }

  @Test
  void shouldUnpackIntoTheCacheOfTheHomeWithoutAnEnvironment() throws Exception {
    assertThat(new ChildJvm().with("user.home", folder).run().output()).contains("library=" + folder.resolve(".cache/coppice/libcoppice_ops-"));
  }

  @Test
  void shouldUnpackBesideTemporaryFilesWithoutAHome() throws Exception {
    ChildJvm.End end = new ChildJvm().with("user.home", "/nonexistent").with("java.io.tmpdir", folder).with("user.name", "ada").run();
    assertThat(end.output()).contains("library=" + folder.resolve("coppice-ada/libcoppice_ops-"));
  }

  @Test
  void shouldLetTwoJvmsStartAtOnceOnAnEmptyCache() throws Exception {
    Path cache = folder.resolve("cache");
    List<Path> logs = List.of(folder.resolve("first.log"), folder.resolve("second.log"));
    List<Process> jvms = new ArrayList<>();
    for (Path log : logs) {
      jvms.add(new ChildJvm().with("coppice.native.dir", cache).begin(log));
    }
    for (int i = 0; i < 2; i++) {
      ChildJvm.End end = ChildJvm.end(jvms.get(i), logs.get(i));
      assertThat(end.code()).as(end.output()).isZero();
    }
    try (Stream<Path> files = Files.list(cache)) {
      assertThat(files.map(file -> file.getFileName().toString().replaceFirst("[.][0-9a-f]{8}$|-[0-9a-f]{16}", "")))
          .containsExactlyInAnyOrder("libcoppice_ops.so", "libonnxruntime.so", "libonnxruntime4j_jni.so");
    }
  }

  @Test
  void shouldReplaceATamperedLibraryBeforeLoadingIt() throws Exception {
    ChildJvm jvm = new ChildJvm().with("coppice.native.dir", folder.resolve("cache"));
    jvm.run();
    Path library = library(folder.resolve("cache"), "libcoppice_ops-.*");
    Files.writeString(library, "tampered");
    assertThat(jvm.run().code()).isZero();
    assertThat(Files.size(library)).isGreaterThan(10_000);
  }

  @Test
  void shouldUnpackOnnxRuntimeOnce() throws Exception {
    Path cache = folder.resolve("cache");
    ChildJvm jvm = new ChildJvm().with("coppice.native.dir", cache);
    assertThat(jvm.run().code()).isZero();
    Object first = Files.getAttribute(library(cache, "libonnxruntime.so.*"), "unix:ino");
    assertThat(jvm.run().code()).isZero();
    assertThat(Files.getAttribute(library(cache, "libonnxruntime.so.*"), "unix:ino")).isEqualTo(first);
  }

  @ParameterizedTest
  @CsvSource({"libonnxruntime.so.*", "libonnxruntime4j_jni.so.*"})
  void shouldReplaceATornLibraryOfOnnxRuntime(String name) throws Exception {
    ChildJvm jvm = new ChildJvm().with("coppice.native.dir", folder.resolve("cache"));
    jvm.run();
    Path library = library(folder.resolve("cache"), name);
    byte[] whole = Files.readAllBytes(library);
    byte[] torn = whole.clone();
    Arrays.fill(torn, torn.length / 2, torn.length, (byte) 0);
    Files.write(library, torn);
    assertThat(jvm.run().code()).isZero();
    assertThat(library).hasBinaryContent(whole);
  }

  @Test
  void shouldLeaveOnnxRuntimesLibrariesToWhoNamesThem() throws Exception {
    ChildJvm.End end = new ChildJvm().with("coppice.native.dir", folder.resolve("cache")).with("onnxruntime.native.path", "/nonexistent").run();
    assertThat(end.output()).startsWith("native.engine: ONNX Runtime cannot be loaded (");
    assertThat(folder.resolve("cache")).isDirectoryNotContaining("glob:**onnxruntime*");
  }

  @Test
  void shouldLoadTheFileThatThePropertyNamesAndNothingElse() throws Exception {
    Path library = Files.copy(OperatorLibrary.load().file(), folder.resolve("mine.so"));
    ChildJvm.End end = new ChildJvm().with("coppice.native.path", library).with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).contains("library=" + library);
    assertThat(folder.resolve("cache")).doesNotExist();
  }

  @Test
  void shouldLoadTheLibraryInTheFolderThatThePropertyNames() throws Exception {
    Path library = Files.copy(OperatorLibrary.load().file(), folder.resolve("libcoppice_ops.so"));
    assertThat(new ChildJvm().with("coppice.native.path", folder).run().output()).contains("library=" + library);
  }

  @Test
  void shouldRefuseAPathWithoutALibrary() throws Exception {
    assertRefused(new ChildJvm().with("coppice.native.path", folder), "native.path: -Dcoppice.native.path names "
        + folder.resolve("libcoppice_ops.so")
        + ", which cannot be read; correct the path or leave the property out.");
  }

  @Test
  void shouldRefuseARelativePath() throws Exception {
    assertRefused(new ChildJvm().with("coppice.native.path", "libcoppice_ops.so"),
        "native.path: -Dcoppice.native.path must be an absolute path, found libcoppice_ops.so; give the whole path.");
  }

  @Test
  void shouldRefuseALibraryForAnotherProcessor() throws Exception {
    byte[] library = Files.readAllBytes(OperatorLibrary.load().file());
    library[18] = 8; // e_machine of the ELF header: MIPS
    Path file = Files.write(folder.resolve("other.so"), library);
    ChildJvm.End end = new ChildJvm().with("coppice.native.path", file).run();
    assertThat(end.output()).startsWith("native.load: " + file + " cannot be loaded (")
        .endsWith("); use the library of this release for this platform.")
        .doesNotContain("\n");
  }

  @Test
  void shouldRefuseAClassPathWithoutTheNativeJar() throws Exception {
    List<Path> path = ChildJvm.classPath().stream().filter(p -> !Files.exists(p.resolve("META-INF/coppice/native")) && !p.toString()
        .contains("coppice-native")).toList();
    ChildJvm.End end = new ChildJvm().onClassPath(path).with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).startsWith("native.missing: The jar coppice-native has no library for linux-").doesNotContain("\n");
    assertThat(folder.resolve("cache")).doesNotExist();
  }

  @Test
  void shouldRefuseALibraryThatDoesNotHaveTheHashBesideIt() throws Exception {
    String platform = Platform.of(System.getProperty("os.name"), System.getProperty("os.arch"), false).folder();
    Path changed = folder.resolve("first/META-INF/coppice/native/" + platform + "/libcoppice_ops.so");
    Files.createDirectories(changed.getParent());
    Files.writeString(changed, "changed");
    List<Path> path = new ArrayList<>(List.of(folder.resolve("first")));
    path.addAll(ChildJvm.classPath());
    ChildJvm.End end = new ChildJvm().onClassPath(path).with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).startsWith("native.changed: The operator library in the jar has SHA-256 ").endsWith("; get the jar again.")
        .doesNotContain("\n");
  }

  @Test
  void shouldObeyTheInstructionSetOfTheEnvironment() throws Exception {
    assertThat(new ChildJvm().with("coppice.native.dir", folder.resolve("cache")).withEnvironment("COPPICE_ISA", "scalar").run().output())
        .contains("isa=scalar");
  }

  @ParameterizedTest
  @CsvSource({"sse9", "SCALAR"})
  void shouldRefuseAnInstructionSetThatNobodyKnows(String isa) throws Exception {
    ChildJvm.End end = new ChildJvm().with("coppice.native.dir", folder.resolve("cache")).withEnvironment("COPPICE_ISA", isa).run();
    assertThat(end.output()).startsWith("native.isa: ").contains(isa).contains("scalar").doesNotContain("\n");
    assertThat(end.code()).isOne();
  }

  @Test
  void shouldStartFromTheModulePath() throws Exception {
    List<Path> modules = ChildJvm.classPath().stream().filter(LibraryStartTest::belongsToTheProduct).toList();
    assumeThat(modules).as("coppice-native is no jar yet: run `mvn verify`").anyMatch(p -> p.getFileName().toString()
        .matches("coppice-native-.*\\.jar"));
    ChildJvm.End end = new ChildJvm().onModulePath(modules, onlyDiagnose()).with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).contains("module=dev.coppice.core").contains("library=" + folder.resolve("cache/libcoppice_ops-"));
    assertThat(end.code()).as(end.output()).isZero();
  }

  private static boolean belongsToTheProduct(Path entry) {
    return entry.equals(codeOf(Coppice.class)) || entry.getFileName().toString()
        .matches("(coppice-native|onnxruntime|slf4j-api|jackson-core)-.*\\.jar");
  }

  /** Only this class: the class path of a modular start must not hold what the modules hold. */
  private Path onlyDiagnose() throws IOException {
    String name = Diagnose.class.getName().replace('.', '/') + ".class";
    Path copy = folder.resolve("classes").resolve(name);
    Files.createDirectories(copy.getParent());
    Files.copy(codeOf(Diagnose.class).resolve(name), copy);
    return folder.resolve("classes");
  }

  private static Path codeOf(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void assertRefused(ChildJvm jvm, String sentence) throws IOException, InterruptedException {
    assertThat(jvm.run()).isEqualTo(new ChildJvm.End(1, sentence));
  }

  private static Path library(Path folder, String name) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.getFileName().toString().matches(name)).findFirst().orElseThrow();
    }
  }
}
