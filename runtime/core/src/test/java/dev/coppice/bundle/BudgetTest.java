package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Keep;
import dev.coppice.api.Rung;
import dev.coppice.api.Trust;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a caller's choice means in tokens, on the shipped bundle with a ladder of its own. */
final class BudgetTest {

  private static Bundle bundle;

  @BeforeAll
  static void read() {
    bundle = withLadder(List.of(rung("full", 0.91, 100, 100), rung("high", 0.75, 80, 64), rung("medium", 0.61, 70, 49), rung("low", 0.41, 50, 25),
        rung("lowest", 0, 30, 9)));
  }

  @ParameterizedTest
  @CsvSource({"1, full", "0.91, full", "0.9099, high", "0.75, high", "0.74, medium", "0.61, medium", "0.5, low", "0.41, low", "0.4, lowest",
      "0.001, lowest"})
  void shouldTakeTheRungThatTheRatioReaches(double ratio, String rung) {
    assertThat(bundle.budget(Optional.of(Keep.ratio(ratio))).rung()).contains(rung);
  }

  @Test
  void shouldTakeTheDefaultRungWhenNobodyChooses() {
    assertThat(bundle.budget(Optional.empty())).isEqualTo(new Bundle.Budget(List.of(70, 49), Optional.of("medium")));
  }

  @Test
  void shouldTakeARungByItsName() {
    assertThat(bundle.budget(Optional.of(Keep.rung("lowest")))).isEqualTo(new Bundle.Budget(List.of(30, 9), Optional.of("lowest")));
  }

  @Test
  void shouldTakeCountsAsTheyAre() {
    assertThat(bundle.budget(Optional.of(Keep.counts(71, 49)))).isEqualTo(new Bundle.Budget(List.of(71, 49), Optional.empty()));
  }

  @Test
  void shouldNameTheRungThatCountsHappenToBe() {
    assertThat(bundle.budget(Optional.of(Keep.counts(50, 25))).rung()).contains("low");
  }

  @ParameterizedTest
  @ValueSource(strings = {"70", "70,49,30", "101,49", "49,70", "70,0", "0,0"})
  void shouldRefuseCountsThatDoNotFitTheStages(String counts) {
    Keep keep = Keep.parse(counts);
    assertThatThrownBy(() -> bundle.budget(Optional.of(keep))).isInstanceOf(IllegalArgumentException.class)
        .hasMessage("keep must have 2 counts that fall from at most 100 and are at least 1: [" + counts.replace(",", ", ") + "]");
  }

  @Test
  void shouldRefuseARungThatTheBundleDoesNotHave() {
    assertThatThrownBy(() -> bundle.budget(Optional.of(Keep.rung("turbo")))).isInstanceOf(IllegalArgumentException.class)
        .hasMessage("keep must be a rung of bundle \"imagenette-mini\" (full, high, medium, low, lowest): turbo");
  }

  @ParameterizedTest
  @CsvSource({"1, 100, 100", "0.7, 70, 49", "0.5, 50, 25", "0.33, 33, 11", "0.001, 1, 1"})
  void shouldRoundUpAtEachStageWithoutALadder(double ratio, int first, int second) {
    assertThat(withoutLadder().budget(Optional.of(Keep.ratio(ratio)))).isEqualTo(new Bundle.Budget(List.of(first, second), Optional.empty()));
  }

  @Test
  void shouldKeepAllTokensByDefaultWithoutALadder() {
    assertThat(withoutLadder().budget(Optional.empty()).keep()).containsExactly(100, 100);
  }

  private static Bundle withoutLadder() {
    return withLadder(List.of());
  }

  private static Bundle withLadder(List<Rung> ladder) {
    Bundle shipped = Bundle.read(ShippedBundle.FOLDER, Trust.off());
    BundleInfo i = shipped.info();
    BundleInfo info = new BundleInfo(i.name(), i.version(), i.operators(), i.precision(), i.labels(), i.preprocessing(), i.grid(), i.prefixTokens(), i.stages(),
        i.reducingBlocks(), ladder, ladder.stream().map(Rung::name).filter("medium"::equals).findFirst(), Optional.empty(), i.fileBytes(), i.sha256(), i.modelSha256());
    return new Bundle(info, shipped.model(), shipped.graph(), shipped.goldenCases());
  }

  private static Rung rung(String name, double keepFrom, Integer... keep) {
    return new Rung(name, List.of(keep), 1, keepFrom, OptionalDouble.empty());
  }
}
