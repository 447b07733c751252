package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class InspectAndDoctorTest {

  @TempDir private Path folder;

  @Test
  void shouldShowWhatIsInABundle() {
    Cli end = Cli.run("inspect", Cli.BUNDLE);
    assertThat(end.code()).isZero();
    assertThat(end.err()).isEmpty();
    assertThat(end.out()).startsWith("imagenette-mini 1.0.0\n").contains("160 x 160 pixels", "100 patches (10 x 10) and 1 before them",
        "classes    10",
        "EncoderBlock", " MB: sizes and hashes are right", "golden     outputs are right on this machine");
  }

  @Test
  void shouldShowTheLadderWithItsAccuracyAndMarkTheDefault() {
    assertThat(Cli.run("inspect", Cli.BUNDLE).out()).contains("ladder (top-1 on imagenette-val-1500)")
        .containsPattern("(?m)^    full +keep 100,100 +from --keep 0\\.\\d\\d +\\d+ M multiply-adds +\\d\\d\\.\\d\\d %$")
        .containsPattern("(?m)^    medium +keep 70,49 +from --keep 0\\.\\d\\d +\\d+ M multiply-adds +\\d\\d\\.\\d\\d %  default$")
        .containsPattern("(?m)^    lowest +keep 30,9 +from --keep 0\\.00 +\\d+ M multiply-adds +\\d\\d\\.\\d\\d %$");
  }

  @Test
  void shouldRefuseToInspectASpoiltBundle() throws IOException {
    Path copy = Cli.copyOfBundle(folder);
    Files.writeString(copy.resolve("notes.txt"), "surplus");
    assertThat(Cli.run("inspect", copy)).isEqualTo(
        new Cli(3, "", "coppice: " + copy.resolve("notes.txt") + ": bundle.json does not list it; remove it from the bundle.\n"));
  }

  @Test
  void shouldPrintWhatABugReportNeeds() {
    Cli end = Cli.run("doctor");
    assertThat(end.out().lines().map(line -> line.replaceFirst(" {2,}.*", ""))).contains(
        "coppice", "java", "platform", "glibc", "board", "threads", "clocks", "temperature", "memory", "swap", "isa", "bundle");
    assertThat(end.out()).contains(System.getProperty("java.version"), System.getProperty("os.arch"), "2.", "1.29.0",
        "libcoppice_ops-", "golden cases right");
    boolean wrong = end.out().contains("\nwrong "); // a build machine may be ill: short of memory, say
    assertThat(end.code()).isEqualTo(wrong ? 1 : 0);
    assertThat(end.out().endsWith("Nothing is wrong.\n")).isNotEqualTo(wrong);
  }

  @Test
  void shouldSayWhatIsWrongWithTheBundle() {
    Cli end = Cli.run("doctor", "--bundle", folder.resolve("gone"));
    assertThat(end.code()).isOne();
    assertThat(end.out()).endsWith("wrong                 bundle.missing: " + folder.resolve("gone")
        + ": no such bundle; give a folder that holds bundle.json, or a tar of one.\n")
        .doesNotContain("Nothing is wrong.").startsWith("coppice ");
  }

  @Test
  void shouldTellProgramsTheSame() throws IOException {
    Cli end = Cli.run("doctor", "--output", "json", "--bundle", folder.resolve("gone"));
    Map<String, Object> report = JsonLines.read(end.out()).get(0);
    assertThat(report).containsOnlyKeys("facts", "findings");
    assertThat(JsonLines.object(report.get("facts"))).containsEntry("onnx_runtime", "1.29.0").containsKeys("isa", "cpu_quota", "throttle_point");
    assertThat(JsonLines.objects(report.get("findings"))).last().isEqualTo(Map.of("code", "bundle.missing",
        "sentence", folder.resolve("gone") + ": no such bundle; give a folder that holds bundle.json, or a tar of one."));
  }

  @Test
  void shouldShowHelpAndVersion() {
    assertThat(Cli.run("--help").out()).contains("classify", "inspect", "doctor");
    assertThat(Cli.run("--version")).isEqualTo(new Cli(0, "coppice 0.1.0\n", ""));
  }
}
