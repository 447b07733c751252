package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The curve of a model of 16 patches, really measured, with its pictures. */
@Tag("build-machine")
final class LatencyCurveTest {

  private static final Path SMALL = Cli.BUNDLE.resolve("../../../runtime/core/src/test/resources/signed/bundle").normalize();

  @TempDir private static Path folder;
  private static Cli end;

  @BeforeAll
  static void measure() {
    end = Cli.run("latency", SMALL, "--threads=1", "--duration=1 us", "--curve", folder.resolve("small.json"));
  }

  @Test
  void shouldMeasureEveryCount() throws IOException {
    assertThat(end.out()).startsWith("16 budgets in 6 rounds; " + folder.resolve("small.json"));
    assertThat(end.code()).isZero();
    assertThat(end.err()).isEmpty(); // no progress in a pipe
    String json = Files.readString(folder.resolve("small.json"));
    assertThat(json).startsWith("{\"format\":2,\"model\":\"small 1.0.0\"").contains("\"threads\":1,", "\"patches\":16,\"prefix\":1,", "\"rounds\":6,");
    assertThat(IntStream.rangeClosed(1, 16).mapToObj(count -> "{\"keep\":[" + count + "],\"ms\":")).allMatch(json::contains);
    assertThat(json).doesNotContain(folder.toString(), SMALL.toString());
  }

  @Test
  void shouldDrawAxesUnitsSeriesAndRungs() throws Exception {
    Element svg = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(folder.resolve("small.svg").toFile()).getDocumentElement();
    NodeList texts = svg.getElementsByTagName("text");
    assertThat(IntStream.range(0, texts.getLength()).mapToObj(i -> texts.item(i).getTextContent()))
        .contains("Time of a run of small 1.0.0 by its token budget", "milliseconds", "patch tokens kept", "this many at every stage", "0", "16").anyMatch(text -> text.matches("half [\\d.]+ [um]s"));
    assertThat(svg.getElementsByTagName("circle").getLength()).isEqualTo(2); // rungs
  }

  @Test
  void shouldDrawTheSamePictureInPixels() throws IOException {
    BufferedImage png = ImageIO.read(folder.resolve("small.png").toFile());
    assertThat(png.getWidth()).isEqualTo(2 * CurveChart.WIDTH);
    assertThat(IntStream.range(0, png.getWidth() * png.getHeight()).map(i -> png.getRGB(i % png.getWidth(), i / png.getWidth()) & 0xffffff).filter(rgb -> rgb == 0x2166ac).count())
        .isGreaterThan(1000); // the line
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      curve.csv | coppice: --curve must be a file that ends in .json, in a folder that exists:
      no/such/folder/curve.json | coppice: --curve must be a file that ends in .json, in a folder that exists:
      """)
  void shouldRefuseInOneSentenceBeforeItMeasures(String file, String sentence) {
    Cli refused = Cli.run("latency", SMALL, "--curve", folder.resolve(file));
    assertThat(refused.err()).startsWith(sentence).hasLineCount(1);
    assertThat(refused.code()).isEqualTo(2);
  }

  @Test
  void shouldLeaveOnlyItsThreeFiles() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("small.json", "small.png", "small.svg");
    }
  }
}
