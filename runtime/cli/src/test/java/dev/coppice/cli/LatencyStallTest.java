package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command as a process of its own that stands still for a second every 4 s, as a board would that swaps or waits for its card. */
@Tag("child-jvm")
@Tag("build-machine")
final class LatencyStallTest {

  @TempDir private Path folder;

  private Process start(String name, String... options) throws IOException {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC",
        "-Dcoppice.latency.root=" + folder, "-cp", System.getProperty("java.class.path"), Main.class.getName(), "latency", Cli.BUNDLE.toString(),
        "--threads=1", "--keep=low", "--duration=8 s", "--warm-up=100 ms", "--allow=unsteady,garbage"));
    command.addAll(List.of(options));
    return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(folder.resolve(name).toFile()).start();
  }

  private static void send(String signal, List<Process> processes) throws Exception {
    for (Process process : processes) {
      new ProcessBuilder("kill", signal, String.valueOf(process.pid())).redirectErrorStream(true).start().waitFor();
    }
  }

  /** Milliseconds of what the pattern's groups find as a number and its unit. */
  private static double millis(String output, String before) {
    Matcher time = Pattern.compile(Pattern.quote(before) + "([\\d.]+) (us|ms|s)\\b").matcher(output);
    assertThat(time.find()).as(output).isTrue();
    return Double.parseDouble(time.group(1)) * switch (time.group(2)) {
      case "us" -> 1e-3;
      case "ms" -> 1;
      default -> 1e3;
    };
  }

  @Test
  void shouldShowStallsInThePercentileOfAServerAndLabelThemInAClosedLoop() throws Exception {
    List<Process> both = List.of(start("server", "--scenario=server", "--rate=50"), start("single"));
    CompletableFuture<Void> ended = CompletableFuture.allOf(both.get(0).onExit(), both.get(1).onExit());
    for (int stalls = 0; !ended.isDone(); stalls++) {
      assertThat(stalls).as("stalls of a measurement of 8 s").isLessThan(30);
      Thread.sleep(3000);
      send("-STOP", both);
      Thread.sleep(1000);
      send("-CONT", both);
    }
    String server = Files.readString(folder.resolve("server"));
    String single = Files.readString(folder.resolve("single"));
    // Of a server's requests about a quarter come while it stands still; of a closed loop's thousands of runs two or three are slow.
    assertThat(millis(server, "SERVER p99 ")).as(server).isGreaterThan(700);
    assertThat(single).containsPattern("\\d+ of \\d+ samples took more than 10 times the median, the longest .*; in a closed loop nobody waits for them: measure SERVER");
    assertThat(millis(single, "the longest ")).as(single).isGreaterThan(700);
    assertThat(millis(single, "SINGLE_STREAM p99 ")).as(single).isLessThan(millis(server, "SERVER p99 "));
  }
}
