package dev.coppice.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class KeepTest {

  @ParameterizedTest
  @CsvSource({"0.5, 0.5", "1, 1.0", "1.0, 1.0", "0.001, 0.001", ".7, 0.7"})
  void shouldReadNumbersUpToOneAsRatio(String text, double ratio) {
    assertThat(Keep.parse(text)).isEqualTo(Keep.ratio(ratio));
  }

  @Test
  void shouldReadNumbersWithCommasAsCounts() {
    assertThat(Keep.parse("70,49")).isEqualTo(new Keep.Counts(List.of(70, 49)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"2", "9", "10", "140"})
  void shouldReadAWholeNumberAboveOneAsCount(String text) {
    assertThat(Keep.parse(text)).isEqualTo(Keep.counts(Integer.valueOf(text)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"low", "full", "half-cost", "rung2"})
  void shouldReadWordsAsRungs(String text) {
    assertThat(Keep.parse(text)).isEqualTo(Keep.rung(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "0", "0.0", "00", "1.5", "1.0.0", "-0.5", "-1", "x", "0,5x", "70,", ",49", "70;49", "NaN", "1e-3", "LOW", "99999999999",
      "70,99999999999", "0.5 ", "½", "٣"})
  void shouldRefuseAnythingElseAndSayWhatItFound(String text) {
    assertThatThrownBy(() -> Keep.parse(text)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): ");
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -0.0, -1, 1.0000001, Double.NaN, Double.POSITIVE_INFINITY})
  void shouldRefuseARatioOutsideItsRange(double ratio) {
    assertThatThrownBy(() -> Keep.ratio(ratio)).isInstanceOf(IllegalArgumentException.class).hasMessageEndingWith(": " + ratio);
  }
}
