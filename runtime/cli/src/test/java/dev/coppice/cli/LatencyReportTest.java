package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A report of this very machine, searched for whatever would tell whose it is. */
@Tag("build-machine")
final class LatencyReportTest {

  @TempDir private static Path folder;
  private static String report;

  private static String report() throws IOException {
    if (report == null) {
      Path file = folder.resolve("report.json");
      Cli.run("latency", Cli.BUNDLE, "--threads=1", "--duration=300 ms", "--warm-up=100 ms", "--percentile=50", "--image", Cli.golfBall(), "--report", file);
      report = Files.readString(file);
    }
    return report;
  }

  private static Stream<String> secrets() throws IOException {
    Stream<String> files = Stream.of("/etc/hostname", "/etc/machine-id", "/proc/device-tree/serial-number", "/proc/sys/kernel/random/boot_id").map(Path::of).filter(Files::isReadable)
        .map(LatencyReportTest::read);
    Stream<String> named = Stream.of("user.home", "user.dir", "java.io.tmpdir", "java.home", "coppice.bundle").map(System::getProperty);
    return Stream.of(files, named, Stream.of(InetAddress.getLocalHost().getHostName(), folder.toString(), "golf-ball", "HOME", "USER")).flatMap(s -> s).filter(s -> s.length() > 3);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).replace("\0", "").strip();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void shouldNotTellWhoseMachineItWas() throws IOException {
    assertThat(report()).doesNotContain(secrets().toList());
    String user = System.getProperty("user.name");
    assertThat(report()).doesNotContainPattern("[^a-z]" + user + "[^a-z_ ]");
  }

  @Test
  void shouldHaveNoPathButThoseOfTheKernel() throws IOException {
    assertThat(report().replaceAll("/(sys|proc)/[\\w/:-]*", "")).doesNotContainPattern("/[A-Za-z]");
  }

  @Test
  void shouldNameWhatWasRunByItsDigests() throws IOException {
    for (String key : List.of("bundle_sha256", "model_sha256", "library_sha256")) {
      assertThat(report()).containsPattern("\"" + key + "\" : \"[0-9a-f]{64}\"");
    }
    assertThat(report()).contains("\"own_nanos_per_sample\" : ", "\"memory_mib\" : \"", "\"power_mode\" : \"");
  }
}
