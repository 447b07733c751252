package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a machine says of itself once; the files of nvpmodel have the form that JetPack 5 and 6 write. */
final class MachineTest {

  @TempDir private Path root;

  private void write(String file, String text) throws IOException {
    Files.createDirectories(root.resolve(file).getParent());
    Files.writeString(root.resolve(file), text);
  }

  @Test
  void shouldNameThePowerModeOfAJetson() throws IOException {
    write("var/lib/nvpmodel/status", "pmode:0002\n");
    write("etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n");
    assertThat(Machine.probe(root).powerMode()).contains("MAXN_SUPER (2)");
  }

  @Test
  void shouldGiveTheNumberOfAModeWithoutAName() throws IOException {
    write("var/lib/nvpmodel/status", "pmode:0000 fmode:quiet\n");
    assertThat(Machine.probe(root).powerMode()).contains("0");
  }

  @Test
  void shouldTakeThePlatformProfileElsewhere() throws IOException {
    write("sys/firmware/acpi/platform_profile", "balanced\n");
    assertThat(Machine.probe(root).powerMode()).contains("balanced");
  }

  @Test
  void shouldReadMemorySwapAndClocks() throws IOException {
    write("proc/meminfo", "MemTotal:        8132124 kB\nSwapTotal:             0 kB\n");
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_min_freq", "1500000\n");
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "2400000\n");
    assertThat(Machine.probe(root)).isEqualTo(new Machine(OptionalLong.of(7941), OptionalLong.of(0), List.of("1500-2400"), Optional.empty()));
  }

  @Test
  void shouldGuessNothing() throws IOException {
    write("var/lib/nvpmodel/status", "off\n");
    assertThat(Machine.probe(root)).isEqualTo(new Machine(OptionalLong.empty(), OptionalLong.empty(), List.of(), Optional.empty()));
  }
}
