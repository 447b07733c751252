package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The script {@code coppice} in a tree of its own, with a jar that leads to the classes under test. */
@Tag("child-jvm")
final class LauncherTest {

  private static final Path ROOT = Cli.BUNDLE.resolve("../../..").normalize();

  @TempDir private Path folder;
  private Path root;

  @BeforeEach
  void plant() throws IOException {
    root = Files.createDirectories(folder.resolve("a tree with spaces"));
    Files.copy(ROOT.resolve("coppice"), root.resolve("coppice"));
    Files.createDirectories(root.resolve("export/bundles"));
    Files.createSymbolicLink(root.resolve("export/bundles/imagenette-mini"), Cli.BUNDLE);
    Files.createDirectories(root.resolve("runtime/cli/target"));
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, Main.class.getName());
    manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(entry -> Path.of(entry).toUri().toString()).collect(Collectors.joining(" ")));
    manifest.getMainAttributes().putValue("Enable-Native-Access", "ALL-UNNAMED"); // as the real one has
    new JarOutputStream(Files.newOutputStream(jar()), manifest).close();
  }

  @AfterEach
  void cutTheLinkToTheRealBundle() throws IOException {
    Files.delete(root.resolve("export/bundles/imagenette-mini"));
  }

  @Test
  void shouldClassifyWithTheShippedBundle() throws Exception {
    Cli end = start(javaHome(), "classify", "--output=json", Cli.golfBall().toString());
    assertThat(end.err()).isEmpty();
    assertThat(JsonLines.objects(JsonLines.read(end.out()).get(0).get("labels")).get(0)).containsEntry("name", "golf ball");
    assertThat(end.code()).isZero();
  }

  @Test
  void shouldEndWithOneSentenceAndCodeOneForABadPicture() throws Exception {
    Path gone = folder.resolve("gone.jpg");
    assertThat(start(javaHome(), "classify", gone.toString())).isEqualTo(new Cli(1, "", "coppice: " + gone + ": no such file; check the path.\n"));
  }

  @Test
  void shouldEndWithOneSentenceAndCodeTwoForAWrongOption() throws Exception {
    assertThat(start(javaHome(), "classify", "--colour", Cli.golfBall().toString())).isEqualTo(
        new Cli(2, "", "coppice: Unknown option: '--colour'. Try `coppice classify --help`.\n"));
  }

  @ParameterizedTest
  @ValueSource(ints = {28, 64})
  void shouldGoOnWithTheNextPictureWhenOneDoesNotFitIntoTheHeap(int heapMebibytes) throws Exception {
    // 30 million pixels: 30 MB while the PNG is read, 90 MB as RGB.
    Path large = folder.resolve("large.png");
    ImageIO.write(new BufferedImage(6000, 5000, BufferedImage.TYPE_BYTE_GRAY), "png", large.toFile());
    Path java = fakeJava("exec '" + javaHome().resolve("bin/java") + "' -Xmx" + heapMebibytes + "m \"$@\"", "17");
    Cli end = start(java, "classify", "--output=json", large.toString(), Cli.golfBall().toString());
    assertThat(end.err()).startsWith("coppice: " + large + ": expected a picture whose pixels fit into the Java heap of ").hasLineCount(1);
    assertThat(JsonLines.read(end.out())).hasSize(1);
    assertThat(end.code()).isOne();
  }

  @Test
  void shouldFindItsTreeThroughALink() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("coppice"), Path.of("a tree with spaces/coppice"));
    assertThat(start(link, javaHome(), "--version")).isEqualTo(new Cli(0, "coppice 0.1.0\n", ""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"11.0.2", "16", "1.8.0_292", "9-ea"})
  void shouldRefuseAnOldJavaByItsReleaseFile(String version) throws Exception {
    Path home = fakeJava("echo this Java must not start", version);
    assertThat(start(home, "doctor")).isEqualTo(new Cli(1, "", "coppice: " + home.resolve("bin/java") + " is Java " + version
        + ", expected 17 or newer; install for instance openjdk-17-jre-headless, or correct JAVA_HOME.\n"));
  }

  @Test
  void shouldAskAnOldJavaWithoutReleaseFileForItsVersion() throws Exception {
    Path home = fakeJava("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", null);
    assertThat(start(home, "doctor").err()).contains(" is Java 11.0.2, expected 17 or newer;");
  }

  @ParameterizedTest
  @ValueSource(strings = {"17.0.15", "17", "21.0.1", "25-ea"})
  void shouldStartANewJavaWithAllArguments(String version) throws Exception {
    Cli end = start(fakeJava("for a in \"$@\"; do echo \"[$a]\"; done", version), "classify", "my picture.jpg");
    assertThat(end.out().lines()).contains("[-jar]", "[" + jar() + "]").endsWith("[classify]", "[my picture.jpg]");
    assertThat(end.code()).isZero();
  }

  @Test
  void shouldSayWhereItLookedForJava() throws Exception {
    Cli end = start(folder.resolve("no-jdk"), "doctor");
    assertThat(end).isEqualTo(new Cli(1, "", "coppice: no Java at \"" + folder.resolve("no-jdk/bin/java")
        + "\"; install Java 17 or newer, for instance openjdk-17-jre-headless, or correct JAVA_HOME.\n"));
  }

  @Test
  void shouldSayThatNothingIsBuilt() throws Exception {
    Files.delete(jar());
    assertThat(start(javaHome(), "doctor")).isEqualTo(new Cli(1, "", "coppice: " + jar() + " is missing; run `make build` in " + root + " first.\n"));
  }

  private Path jar() {
    return root.resolve("runtime/cli/target/coppice-cli.jar");
  }

  private static Path javaHome() {
    return Path.of(System.getProperty("java.home"));
  }

  private Path fakeJava(String script, String release) throws IOException {
    Path home = folder.resolve("jdk");
    Files.createDirectories(home.resolve("bin"));
    Files.writeString(home.resolve("bin/java"), "#!/bin/sh\n" + script + "\n");
    assertThat(home.resolve("bin/java").toFile().setExecutable(true)).isTrue();
    if (release != null) {
      Files.writeString(home.resolve("release"), "IMPLEMENTOR=\"Somebody\"\nJAVA_VERSION=\"" + release + "\"\nOS_ARCH=\"x86_64\"\n");
    }
    return home;
  }

  private Cli start(Path home, String... arguments) throws IOException, InterruptedException {
    return start(root.resolve("coppice"), home, arguments);
  }

  private Cli start(Path script, Path home, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(script.toString()));
    command.addAll(List.of(arguments));
    Path out = folder.resolve("out");
    Path err = folder.resolve("err");
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile()).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().put("JAVA_HOME", home.toString());
    builder.environment().put("XDG_CACHE_HOME", folder.resolve("cache").toString());
    builder.environment().keySet().removeAll(List.of("COPPICE_BUNDLE", "COPPICE_ISA", "JAVA_TOOL_OPTIONS"));
    Process process = builder.start();
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the command did not end");
    }
    return new Cli(process.exitValue(), Files.readString(out, StandardCharsets.UTF_8), Files.readString(err, StandardCharsets.UTF_8));
  }
}
