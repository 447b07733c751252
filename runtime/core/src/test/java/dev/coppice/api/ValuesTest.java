package dev.coppice.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The values that callers make refuse what makes no sense, with the number they were given. */
final class ValuesTest {

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 65})
  void shouldRefuseThreadsOutsideTheirRange(int threads) {
    assertThatThrownBy(() -> OpenOptions.defaults().withThreads(threads)).isInstanceOf(IllegalArgumentException.class).hasMessage("threads must be 1..64: " + threads);
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT-0.001S", "PT24H0.001S"})
  void shouldRefuseACloseLimitOutsideItsRange(Duration limit) {
    assertThatThrownBy(() -> OpenOptions.defaults().withCloseLimit(limit)).isInstanceOf(IllegalArgumentException.class).hasMessage("closeLimit must be 0 to a day: " + limit);
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0S", "PT-1S", "PT24H0.001S"})
  void shouldRefuseADeadlineOutsideItsRange(Duration deadline) {
    assertThatThrownBy(() -> Request.within(deadline)).isInstanceOf(IllegalArgumentException.class).hasMessage("deadline must be above 0 and at most a day: " + deadline);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, 100.1, Double.NaN})
  void shouldRefuseAnAccuracyThatIsNoPercentage(double accuracy) {
    assertThatThrownBy(() -> Request.within(Duration.ofSeconds(1)).withMinAccuracy(accuracy)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("minAccuracy");
  }

  @ParameterizedTest
  @CsvSource({"0, 0.01, 20, NaN, capacity", "10001, 0.01, 20, NaN, capacity", "1, 0, 20, NaN, missShare", "1, NaN, 20, NaN, missShare",
    "1, 0.01, 2, NaN, calibrationRuns", "1, 0.01, 20, Infinity, throttleCelsius"})
  void shouldRefuseASchedulerThatMakesNoSense(int capacity, double missShare, int calibrationRuns, double throttle, String named) {
    assertThatThrownBy(() -> new SchedulerOptions(capacity, SchedulerOptions.Overflow.REFUSE, missShare, calibrationRuns, throttle))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining(named);
  }

  @Test
  void shouldRefuseToRankNoLabel() {
    assertThatThrownBy(() -> RunOptions.defaults().withTop(0)).isInstanceOf(IllegalArgumentException.class).hasMessage("top must be at least 1: 0");
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 0", "1, -1, 3", "2, 2, 11", "65536, 65536, 0"})
  void shouldRefusePixelsThatDoNotFitTheSize(int width, int height, int bytes) {
    assertThatThrownBy(() -> new Image(width, height, new byte[bytes], 0)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("width");
  }

  @ParameterizedTest
  @CsvSource({"3, 2, 9, even", "2, 3, 9, even", "2, 2, 12, 6 bytes: 12"})
  void shouldRefuseAVideoPictureThatDoesNotFitTheSize(int width, int height, int bytes, String named) {
    assertThatThrownBy(() -> new Image(width, height, Image.Layout.NV12, ByteBuffer.allocate(bytes), 0)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(named);
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "8, 0", "8, 9", "8193, 8"})
  void shouldRefuseACropThatDoesNotFitTheResizedImage(int shortSide, int crop) {
    List<Float> half = List.of(0.5f, 0.5f, 0.5f);
    assertThatThrownBy(() -> new Preprocessing(shortSide, crop, half, half)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("crop=" + crop);
  }

  @Test
  void shouldAddUpTheArrows() {
    assertThat(new Timings(1, 20, 300, 4000).total()).isEqualTo(4321);
  }
}
