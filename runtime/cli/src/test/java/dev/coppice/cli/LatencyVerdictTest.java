package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Verdicts and exit codes with the real model on a board of files, so that the build machine's other work decides nothing. */
@Tag("build-machine")
final class LatencyVerdictTest {

  @TempDir private Path board;

  @BeforeEach
  void nameTheBoard() throws IOException {
    System.setProperty("coppice.latency.root", board.toString());
    governor("performance");
    throttled("0");
  }

  @AfterEach
  void forgetTheBoard() {
    System.clearProperty("coppice.latency.root");
  }

  private void governor(String name) throws IOException {
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", name);
  }

  private void throttled(String bits) throws IOException {
    write("sys/devices/platform/soc/soc:firmware/get_throttled", bits);
  }

  /** In one step: a file of the kernel is never half-written. */
  private void write(String file, String text) throws IOException {
    Files.createDirectories(board.resolve(file).getParent());
    Files.move(Files.writeString(board.resolve(file + ".new"), text + "\n"), board.resolve(file), StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }

  private static Cli latency(String... options) {
    return latencyAt(50, options);
  }

  private static Cli latencyAt(double percentile, String... options) {
    List<Object> all = new ArrayList<>(List.of("latency", Cli.BUNDLE, "--threads=1", "--duration=400 ms", "--warm-up=100 ms", "--allow=unsteady,garbage", "--percentile=" + percentile));
    all.addAll(List.of(options));
    return Cli.run(all.toArray());
  }

  @ParameterizedTest
  @CsvSource({
    "--limit=100 s, PASS: within 100.0 s: SINGLE_STREAM p50, 0",
    "--limit=1 us, FAIL: beyond 1.000 us: SINGLE_STREAM p50, 1",
    "--max-duration=400 ms, SINGLE_STREAM p50, 0",
  })
  void shouldEndWithTheCodeOfItsVerdict(String option, String begin, int code) {
    Cli end = latency(option);
    assertThat(end.out().replaceFirst("^Allowed: .*? (?=PASS|FAIL|SINGLE)", "")).startsWith(begin);
    assertThat(end.code()).isEqualTo(code);
  }

  @Test
  void shouldEndWithFourWhereTheSamplesCannotTell() {
    Cli end = latencyAt(99.99, "--limit=100 s"); // needs 46,050 samples
    assertThat(end.out()).contains("INCONCLUSIVE: ", "fewer than the 46050 independent samples");
    assertThat(end.code()).isEqualTo(4);
  }

  @ParameterizedTest
  @CsvSource({"'', 4", "--require, 1"})
  void shouldSkipAnotherBoardWithTheReason(String require, int code) throws IOException {
    write("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0");
    List<String> options = new ArrayList<>(List.of("--limit=100 s", "--devices=raspberry-pi-5,rk3588"));
    if (!require.isEmpty()) {
      options.add(require);
    }
    assertThat(latency(options.toArray(String[]::new))).isEqualTo(
        new Cli(code, "SKIPPED: the limit is meant for raspberry-pi-5, rk3588, and this board is raspberry-pi-4b; nothing was measured.\n", ""));
  }

  @Test
  void shouldMeasureOnTheBoardThatItIsMeantFor() throws IOException {
    write("proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0");
    assertThat(latency("--limit=100 s", "--devices=raspberry-pi-5", "--require").code()).isZero();
  }

  @Test
  void shouldNotTrustABoardThatThrottles() throws IOException {
    throttled("4");
    Cli end = latency("--limit=100 s");
    assertThat(end.out()).startsWith("INVALID: the board throttled (get_throttled 0x4, 0x4 at the start)");
    assertThat(end.code()).isOne();
  }

  @Test
  void shouldSayInFrontThatThrottlingWasAllowed() throws IOException {
    throttled("4");
    Cli end = latency("--limit=100 s", "--allow=throttling");
    assertThat(end.out()).contains("Allowed: ", "PASS: within");
    assertThat(end.code()).isZero();
  }

  @Test
  void shouldNotTrustAGovernorThatChangesInTheMiddle() throws Exception {
    Thread meddler = new Thread(() -> {
      try {
        for (int change = 0; ; change++) { // no two readings, 400 ms apart, see the same
          governor("governor-" + change);
          Thread.sleep(20);
        }
      } catch (IOException | InterruptedException ended) {
        // the measurement is over
      }
    });
    meddler.start();
    try {
      Cli end = latency("--limit=100 s");
      assertThat(end.out()).startsWith("INVALID: the frequency governor changed from [governor-");
      assertThat(end.code()).isOne();
    } finally {
      meddler.interrupt();
      meddler.join();
    }
  }

  @Test
  void shouldSayWhichSensorsAreMissingAndGuessNone() throws IOException {
    Files.createDirectories(board.resolve("proc/stat"));
    Files.createSymbolicLink(board.resolve("proc/vmstat"), Path.of("/proc/sys/vm/compact_memory")); // which root may not read either
    assertThat(latency().out()).contains("Not known: temperature (no readable zone of the processor in /sys/class/thermal).", "Not known: load (/proc/stat cannot be read).",
        "Not known: swap (no permission to read /proc/vmstat).",
        "Not known: memory (no /proc/meminfo).").doesNotContain(board.toString());
  }
}
