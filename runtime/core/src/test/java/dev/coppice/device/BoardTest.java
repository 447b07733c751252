package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Boards by the files that their kernels show; devices/fixtures says where those come from. */
final class BoardTest {

  private static final Path FIXTURES = Path.of(System.getProperty("coppice.fixtures"));

  @ParameterizedTest
  @CsvSource({
    "raspberry-pi-3b, Raspberry Pi 3 Model B Rev 1.2 (Cortex-A53), 'raspberrypi,3-model-b', 'brcm,bcm2837'",
    "raspberry-pi-4b, Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72), 'raspberrypi,4-model-b', 'brcm,bcm2711'",
    "raspberry-pi-5, Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76), 'raspberrypi,5-model-b', 'brcm,bcm2712'",
  })
  void shouldRecogniseTheBoardByItsFiles(String fixture, String description, String board, String chip) {
    Board found = Board.probe(FIXTURES.resolve(fixture));
    assertThat(found.description()).isEqualTo(description);
    assertThat(found.compatible()).containsExactly(board, chip);
  }

  @Test
  void shouldKnowNothingOfAnEmptyRoot(@TempDir Path root) {
    assertThat(Board.probe(root).description()).isEqualTo("unknown processor");
  }

  @Test
  void shouldNameTheProcessorOfAPcOnce(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve("proc"));
    Files.writeString(root.resolve("proc/cpuinfo"), "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2 GHz\n");
    assertThat(Board.probe(root).description()).isEqualTo("Some CPU @ 2 GHz");
  }

  @Test
  void shouldShowTheNumbersOfACoreWithoutAName(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve("proc"));
    Files.writeString(root.resolve("proc/cpuinfo"), "CPU implementer\t: 0x41\nCPU part\t: 0xfff\n");
    assertThat(Board.probe(root).cores()).containsExactly("core 0x41/0xfff");
  }
}
