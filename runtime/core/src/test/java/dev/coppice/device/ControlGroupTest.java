package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Limits as kernels with control groups of version 1 and 2 show them. */
final class ControlGroupTest {

  @TempDir private Path root;

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private void assertLimits(double processors, long memoryMib) {
    ControlGroup found = ControlGroup.probe(root);
    assertThat(found.processors()).hasValue(processors);
    assertThat(found.memoryMib()).hasValue(memoryMib);
  }

  @Test
  void shouldTakeTheTightestOfAGroupAndThoseAboveIt() throws IOException {
    write("proc/self/cgroup", "0::/a/b\n");
    write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    write("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
    write("sys/fs/cgroup/a/memory.max", "max\n");
    write("sys/fs/cgroup/a/b/memory.max", "536870912\n");
    assertLimits(0.5, 512);
  }

  @Test
  void shouldReadVersionOne() throws IOException {
    write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/x\n1:cpu,cpuacct:/docker/x\n");
    write("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "150000\n");
    write("sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
    write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "268435456\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assertLimits(1.5, 256);
  }

  @Test
  void shouldReadAContainersOwnTopWhereThePathIsTheHosts() throws IOException {
    write("proc/self/cgroup", "0::/../../docker/x\n");
    write("sys/fs/cgroup/cpu.max", "25000 50000\n");
    write("sys/fs/cgroup/memory.max", "134217728\n");
    assertLimits(0.5, 128);
  }

  @Test
  void shouldKnowNoLimitWithoutFilesOrWithNonsense() throws IOException {
    assertThat(ControlGroup.probe(root).processors()).isEmpty();
    write("proc/self/cgroup", "nonsense\n0::/a\n");
    write("sys/fs/cgroup/a/cpu.max", "half\n");
    write("sys/fs/cgroup/a/memory.max", "-5\n");
    assertThat(ControlGroup.probe(root).processors()).isEmpty();
    assertThat(ControlGroup.probe(root).memoryMib()).isEmpty();
  }
}
