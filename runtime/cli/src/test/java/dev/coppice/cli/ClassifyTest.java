package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ClassifyTest {

  @TempDir private Path folder;

  @Test
  void shouldShowLabelTimeTokensAndGrid() {
    Cli end = Cli.run("classify", Cli.golfBall());
    assertThat(end.code()).isZero();
    assertThat(end.err()).isEmpty();
    assertThat(end.out().lines()).hasSize(19).element(1).asString().matches("  golf ball +\\d\\d\\.\\d\\d %  █+");
    assertThat(end.out()).containsPattern("time +decode [\\d.]+ ms · preprocess [\\d.]+ ms · run [\\d.]+ ms · rank [\\d.]+ ms · total [\\d.]+ ms\n")
        .containsPattern("  tokens  100 → \\d+ → \\d+  \\(rung medium; of at most 70, 49\\)\n");
  }

  @Test
  void shouldDrawAsManyBlocksAsTokensWereKept() {
    List<String> lines = Cli.run("classify", "--keep=70,49", "--top=1", Cli.golfBall()).out().lines().toList();
    Matcher tokens = Pattern.compile("  tokens  100 → (\\d+) → (\\d+)  \\(rung medium; of at most 70, 49\\)").matcher(lines.get(3));
    assertThat(tokens.matches()).as(lines.get(3)).isTrue();
    int kept = Integer.parseInt(tokens.group(1)) + Integer.parseInt(tokens.group(2));
    String grid = String.join("", lines.subList(4, lines.size()));
    // Two characters a token; 10 x 10 tokens in each of two stages.
    assertThat(grid.chars().filter(c -> c == '█').count()).isEqualTo(2 * kept);
    assertThat(grid.chars().filter(c -> c == '·').count()).isEqualTo(2 * (200 - kept));
  }

  @ParameterizedTest
  @ValueSource(strings = {"classify", "latency"})
  void shouldStartFromTheKeptModel(String command) throws IOException {
    Path cache = folder.resolve("cache");
    Path bundle = Cli.copyOfBundle(folder);
    Object[] arguments = command.equals("classify") ? new Object[] {command, "--cache", cache, "--bundle", bundle, Cli.golfBall()}
        : new Object[] {command, bundle, "--cache", cache, "--duration=50 ms", "--warm-up=10 ms", "--percentile=50"};
    assertThat(Cli.run(arguments).err()).isEmpty();
    assertThat(cache).isDirectoryContaining("glob:**/imagenette-mini-*");
    Files.writeString(bundle.resolve("model.onnx"), "damaged since"); // a start from the kept model does not read it
    assertThat(Cli.run(arguments).out()).contains(command.equals("classify") ? "golf ball" : "SINGLE_STREAM p50");
  }

  @Test
  void shouldRefuseACacheThatOthersCanWriteTo() throws IOException {
    Path cache = Files.createDirectory(folder.resolve("cache"), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
    Cli end = Cli.run("classify", "--cache", cache, Cli.golfBall());
    assertThat(end.err()).contains("with mode rwx------").hasLineCount(1);
    assertThat(end.code()).isOne();
  }

  @Test
  void shouldShowAsManyLabelsAsAskedFor() {
    assertThat(Cli.run("classify", "--top=2", Cli.golfBall()).out().lines().filter(line -> line.contains(" %"))).hasSize(2);
  }

  @Test
  void shouldNotNameARungForCountsThatAreNone() {
    assertThat(Cli.run("classify", "--keep=60,40", Cli.golfBall()).out()).containsPattern("  tokens  100 → \\d+ → \\d+  \\(of at most 60, 40\\)\n");
  }

  @Test
  void shouldPrintOneJsonObjectALineWithEverythingAProgramNeeds() throws IOException {
    Path second = Files.copy(Cli.golfBall(), folder.resolve("a \"quoted\" name.jpg"));
    Cli end = Cli.run("classify", "--output=json", "--keep=low", "--top=3", Cli.golfBall(), second);
    List<Map<String, Object>> lines = JsonLines.read(end.out());
    assertThat(lines).extracting(l -> l.get("image")).containsExactly(Cli.golfBall().toString(), second.toString());
    assertThat(lines.get(0)).containsOnlyKeys("image", "labels", "rung", "keep", "kept", "nanos").containsEntry("rung", "low")
        .containsEntry("keep", List.of(50L, 25L));
  }

  @Test
  void shouldPrintLabelsWithScoresBestFirstAsJson() throws IOException {
    List<Map<String, Object>> labels = JsonLines.objects(json("--top=10").get("labels"));
    assertThat(labels).hasSize(10).first().satisfies(l -> assertThat(l).containsEntry("name", "golf ball").containsEntry("index", 8L)
        .containsOnlyKeys("index", "name", "score"));
    // Ten floats near 1, each rounded by at most 6e-8.
    assertThat(labels.stream().mapToDouble(l -> (Double) l.get("score")).sum()).isEqualTo(1, within(1e-6));
  }

  @Test
  void shouldPrintTheNanosecondsOfEachArrowAsJson() throws IOException {
    Map<String, Object> nanos = JsonLines.object(json().get("nanos"));
    assertThat(nanos).containsOnlyKeys("decode", "preprocess", "run", "rank", "total").allSatisfy((arrow, time) -> assertThat((Long) time)
        .isPositive());
    assertThat((Long) nanos.get("total")).isEqualTo(nanos.entrySet().stream().filter(e -> !e.getKey().equals("total"))
        .mapToLong(e -> (Long) e.getValue()).sum());
  }

  @Test
  void shouldPrintKeptPositionsOfEachStageAsJson() throws IOException {
    List<Object> stages = JsonLines.list(json("--keep=30,9").get("kept"));
    // The class token, and fewer patches than the budget: the graph fills up with -1, which is no position.
    assertThat(stages).hasSize(2).allSatisfy(stage -> assertThat(JsonLines.list(stage)).startsWith(0L).doesNotContain(-1L));
    assertThat(JsonLines.list(stages.get(0))).hasSizeBetween(3, 30);
    assertThat(JsonLines.list(stages.get(1))).hasSizeBetween(2, 9);
  }

  @Test
  void shouldLeaveTheRungOutForCountsThatAreNone() throws IOException {
    assertThat(json("--keep=60,40")).doesNotContainKey("rung");
  }

  @Test
  void shouldReportTheGoodPicturesBesideABadOne() throws IOException {
    Path note = Files.writeString(folder.resolve("note.jpg"), "not a picture");
    Cli end = Cli.run("classify", "--output=json", Cli.golfBall(), note, folder.resolve("gone.png"), Cli.golfBall());
    assertThat(end.code()).isOne();
    assertThat(JsonLines.read(end.out())).hasSize(2);
    assertThat(end.err().lines()).containsExactly("coppice: " + note + ": expected a JPEG or PNG picture, found something else; convert it first.",
        "coppice: " + folder.resolve("gone.png") + ": no such file; check the path.");
  }

  @Test
  void shouldReadNamesWithSpacesFromAFile() throws IOException {
    Path picture = Files.copy(Cli.golfBall(), folder.resolve("my golf ball.jpg"));
    Path names = Files.writeString(folder.resolve("names"), picture + "\n" + Cli.golfBall() + "\n");
    assertThat(JsonLines.read(Cli.run("classify", "--output=json", "@" + names).out())).extracting(l -> l.get("image"))
        .containsExactly(picture.toString(), Cli.golfBall().toString());
  }

  @Test
  void shouldReportOneOfTheRepeatedRuns() throws IOException {
    assertThat(JsonLines.read(Cli.run("classify", "--repeat=3", "--output=json", Cli.golfBall()).out())).hasSize(1);
  }

  @Test
  void shouldDrawThePictureWithDroppedTokensDimmed() throws IOException {
    Path pictures = folder.resolve("made/on/the/way");
    List<Object> last = JsonLines.list(JsonLines.list(json("--keep=low", "--picture=" + pictures).get("kept")).get(1));
    BufferedImage sheet = ImageIO.read(pictures.resolve("golf-ball-kept.png").toFile());
    // Three panels of 320 pixels with margins of 12: the square, then both stages; a token is 32 pixels wide.
    assertThat(sheet.getWidth()).isEqualTo(3 * 320 + 4 * 12);
    assertThat(sheet.getHeight()).isEqualTo(320 + 2 * 12);
    for (int patch = 0; patch < 100; patch++) {
      int x = patch % 10 * 32 + 16 + 12;
      int y = patch / 10 * 32 + 16 + 12;
      boolean same = sheet.getRGB(x, y) == sheet.getRGB(x + 2 * 332, y);
      assertThat(same).as("patch %d is shown as it is", patch).isEqualTo(last.contains(patch + 1L));
    }
  }

  @Test
  void shouldSayWhichPictureCannotBeWrittenAndPrintNothingElse() throws IOException {
    Path blocked = Files.createDirectories(folder.resolve("golf-ball-kept.png/full")).getParent();
    PrintStream before = System.err;
    ByteArrayOutputStream noise = new ByteArrayOutputStream();
    System.setErr(new PrintStream(noise));
    try {
      Cli end = Cli.run("classify", "--picture", folder, Cli.golfBall());
      assertThat(end.code()).isOne();
      assertThat(end.err()).startsWith("coppice: " + blocked + ": the picture cannot be written (")
          .endsWith("; name a folder you can write to with --picture.\n");
    } finally {
      System.setErr(before);
    }
    assertThat(noise.toString()).isEmpty();
  }

  private static Map<String, Object> json(String... options) throws IOException {
    Object[] arguments = new Object[options.length + 3];
    System.arraycopy(options, 0, arguments, 2, options.length);
    arguments[0] = "classify";
    arguments[1] = "--output=json";
    arguments[arguments.length - 1] = Cli.golfBall();
    Cli end = Cli.run(arguments);
    assertThat(end.code()).as(end.err()).isZero();
    return JsonLines.read(end.out()).get(0);
  }
}
