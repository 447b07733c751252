package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Small and large cores by the kernel's files, as an RK3588 has them. */
final class ThreadPlanTest {

  @TempDir private Path root;

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  @BeforeEach
  void fourSmallAndFourLargeCores() throws IOException {
    for (int processor = 0; processor < 8; processor++) {
      write("sys/devices/system/cpu/cpu" + processor + "/cpu_capacity", processor < 4 ? "530\n" : "1024\n");
    }
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1800000\n");
  }

  @Test
  void shouldKeepToTheLargeCoresAndLeaveTheCallerOne() {
    ThreadPlan plan = ThreadPlan.probe(root, 4);
    assertThat(plan.workers()).containsExactly(5, 6, 7);
    assertThat(plan.affinities()).isEqualTo("6;7;8");
  }

  @Test
  void shouldPlanNothingForOneThread() {
    assertThat(ThreadPlan.probe(root, 1).workers()).isEmpty();
  }

  @Test
  void shouldPlanNothingForMoreThreadsThanLargeCores() {
    assertThat(ThreadPlan.probe(root, 5).workers()).isEmpty();
  }

  @Test
  void shouldUseOnlyWhatTheProcessMay() throws IOException {
    write("proc/self/status", "Name:\tjava\nCpus_allowed_list:\t0-3,5,7\n");
    assertThat(ThreadPlan.probe(root, 2).workers()).containsExactly(7);
    assertThat(ThreadPlan.probe(root, 3).workers()).isEmpty();
  }

  @Test
  void shouldPlanNothingWhereTheProcessMayUseOneKindOnly() throws IOException {
    write("proc/self/status", "Cpus_allowed_list:\t4-7\n");
    assertThat(ThreadPlan.probe(root, 4).workers()).isEmpty();
  }

  @Test
  void shouldTakeTheClockWhereThereIsNoCapacity() throws IOException {
    for (int processor = 0; processor < 8; processor++) {
      Files.delete(root.resolve("sys/devices/system/cpu/cpu" + processor + "/cpu_capacity"));
      write("sys/devices/system/cpu/cpu" + processor + "/cpufreq/cpuinfo_max_freq", processor < 6 ? "1800000\n" : "2400000\n");
    }
    assertThat(ThreadPlan.probe(root, 2).workers()).containsExactly(7);
  }

  @Test
  void shouldPlanNothingWhereNothingIsKnown(@TempDir Path empty) throws IOException {
    assertThat(ThreadPlan.probe(empty, 4).workers()).isEmpty();
    Files.writeString(root.resolve("sys/devices/system/cpu/cpu3/cpu_capacity"), "unknown\n");
    assertThat(ThreadPlan.probe(root, 4).workers()).isEmpty();
  }
}
