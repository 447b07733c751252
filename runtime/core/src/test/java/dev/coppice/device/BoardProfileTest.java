package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The profiles of devices/boards. */
final class BoardProfileTest {

  private static final Path FIXTURES = Path.of(System.getProperty("coppice.fixtures"));

  private static Board compatible(String... entries) {
    return new Board(Optional.empty(), List.of(entries), List.of(), Optional.empty());
  }

  static List<BoardProfile> boards() {
    return BoardProfile.all().stream().filter(profile -> !profile.isGeneric()).toList();
  }

  @ParameterizedTest
  @MethodSource("boards")
  void shouldSayOfEveryBoardWhatTheSchedulerAsks(BoardProfile profile) {
    assertThat(profile.compatible()).isNotEmpty().allMatch(entry -> entry.matches("[a-z]+,[a-z0-9-]+"));
    assertThat(profile.clusters()).isNotEmpty().allSatisfy(cluster -> assertThat(cluster.isa()).contains("neon"));
    assertThat(profile.clusters()).isSortedAccordingTo((a, b) -> a.mhz() - b.mhz());
    assertThat(profile.throttleCelsius().orElse(80)).isBetween(50.0, 110.0);
    assertThat(BoardProfile.of(compatible(profile.compatible().iterator().next()))).contains(profile);
  }

  @ParameterizedTest
  @CsvSource({"raspberry-pi-3b, 1200", "raspberry-pi-4b, 1800", "raspberry-pi-5, 2400"})
  void shouldKnowTheBoardsOfTheFixtures(String fixture, int mhz) {
    BoardProfile found = BoardProfile.of(Board.probe(FIXTURES.resolve(fixture))).orElseThrow();
    assertThat(found.key()).isEqualTo(fixture);
    assertThat(found.clusters().get(0).mhz()).isEqualTo(mhz);
  }

  @ParameterizedTest
  @CsvSource({"'nvidia,p3509-0000+p3668-0000', jetson-xavier-nx", "'nvidia,p3768-0000+p3767-0005-super', jetson-orin-nano",
    "'nvidia,p3509-0000+p3767-0000', jetson-orin-nx", "'nvidia,p3737-0000+p3701-0004', jetson-agx-orin", "'nvidia,jetson-nano', jetson-nano"})
  void shouldTellAJetsonByItsModule(String entry, String key) {
    assertThat(BoardProfile.of(compatible(entry, "nvidia,tegra234")).orElseThrow().key()).isEqualTo(key);
  }

  @Test
  void shouldFindAnRk3588BehindTheNameOfItsBoard() {
    assertThat(BoardProfile.of(compatible("radxa,rock-5b", "rockchip,rk3588")).orElseThrow().clusters()).extracting(BoardProfile.Cluster::count).containsExactly(4, 4);
  }

  @Test
  void shouldNotGuess() {
    assertThat(BoardProfile.of(compatible("acme,board", "acme,chip"))).isEmpty();
    assertThat(BoardProfile.of(compatible())).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"'processor : 0\nvendor_id : AuthenticAMD\nmodel name : AMD EPYC', generic-x86_64", "'processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c', generic-aarch64"})
  void shouldCallAMachineThatIsNoBoardGeneric(String cpuinfo, String key, @TempDir Path root) throws IOException {
    Files.writeString(Files.createDirectory(root.resolve("proc")).resolve("cpuinfo"), cpuinfo);
    assertThat(BoardProfile.of(Board.probe(root))).map(BoardProfile::key).contains(key);
  }

  @ParameterizedTest
  @CsvSource({"surplus, 1, surplus", "architecture, aarch64, cluster.0.core", "cluster.0.mhz, fast, cluster.0.mhz", "memory_mib, 512 0, memory_mib", "name,, name"})
  void shouldRefuseAProfileThatIsWrong(String key, String value, String named) {
    Properties text = new Properties();
    for (String line : List.of("name=Board", "compatible=acme,board", "memory_mib=512", "cluster.0.core=Cortex-A53", "cluster.0.count=4", "cluster.0.mhz=1000",
        "cluster.0.isa=neon", "cluster.0.l2_kib=512")) {
      text.setProperty(line.split("=")[0], line.split("=")[1]);
    }
    assertThat(BoardProfile.parse("board", text).clusters()).hasSize(1);
    if (value == null) {
      text.remove(key);
    } else {
      text.setProperty(key, value);
    }
    assertThatThrownBy(() -> BoardProfile.parse("board", text)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("board board").hasMessageContaining(named);
  }
}
