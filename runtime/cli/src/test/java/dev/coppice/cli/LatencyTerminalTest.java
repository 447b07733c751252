package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command in a JVM of its own, on a terminal that {@code script} (util-linux) makes. */
@Tag("child-jvm")
@Tag("build-machine")
final class LatencyTerminalTest {

  @TempDir private Path folder;

  private String onATerminal(String... options) throws IOException, InterruptedException {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "no /usr/bin/script");
    String java = Path.of(System.getProperty("java.home"), "bin", "java") + " -cp '" + System.getProperty("java.class.path") + "' dev.coppice.cli.Main latency '" + Cli.BUNDLE + "' --threads=1 ";
    Path out = folder.resolve("out");
    Process process = new ProcessBuilder(List.of("/usr/bin/script", "-qec", java + String.join(" ", options), "/dev/null")).redirectInput(Path.of("/dev/null").toFile())
        .redirectOutput(out.toFile()).redirectErrorStream(true).start();
    if (!process.waitFor(120, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the command did not end");
    }
    return Files.readString(out, StandardCharsets.UTF_8);
  }

  @Test
  void shouldShowProgressOnATerminalAndTakeItAway() throws Exception {
    String shown = onATerminal("--duration='1200 ms'", "--warm-up='100 ms'", "--percentile=50");
    assertThat(shown).containsPattern("\r\033\\[K\\d+ samples").containsPattern("\r\033\\[K[^\r]*SINGLE_STREAM p50 ");
  }
}
