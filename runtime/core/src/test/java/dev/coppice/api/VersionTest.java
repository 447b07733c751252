package dev.coppice.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class VersionTest {

  /** The order of semver.org, point 11, and numbers that texts would order otherwise. */
  @ParameterizedTest
  @CsvSource({"1.0.0-alpha, 1.0.0-alpha.1", "1.0.0-alpha.1, 1.0.0-alpha.beta", "1.0.0-alpha.beta, 1.0.0-beta", "1.0.0-beta, 1.0.0-beta.2",
      "1.0.0-beta.2, 1.0.0-beta.11", "1.0.0-beta.11, 1.0.0-rc.1", "1.0.0-rc.1, 1.0.0", "1.0.0, 2.0.0", "2.0.0, 2.1.0", "2.1.0, 2.1.1", "1.9.0, 1.10.0"})
  void shouldOrderAsTheStandardDoes(String before, String after) {
    assertThat(Version.parse(before)).isLessThan(Version.parse(after));
    assertThat(Version.parse(after)).isGreaterThan(Version.parse(before));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3-x-y.7"})
  void shouldPrintWhatItRead(String text) {
    assertThat(Version.parse(text)).hasToString(text).isEqualByComparingTo(Version.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "1", "1.0", "1.0.0-", "1.0.0-a..b", "1.0.0-01", "v1.0.0", "1.0.0/..", "1.0.1234567890", "1.0.0+build", "1.0.0 "})
  void shouldRefuseWhatIsNoVersion(String text) {
    assertThatThrownBy(() -> Version.parse(text)).isInstanceOf(IllegalArgumentException.class).hasMessageEndingWith(": " + text);
  }
}
