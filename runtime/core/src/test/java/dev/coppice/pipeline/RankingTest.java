package dev.coppice.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.coppice.api.Label;
import java.nio.FloatBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class RankingTest {

  private static final List<String> NAMES = List.of("ash", "birch", "cedar", "date");

  @Test
  void shouldPutTheLargestLogitFirst() {
    assertThat(top(4, -1, 3, 2, 0)).extracting(Label::name).containsExactly("birch", "cedar", "date", "ash");
  }

  @Test
  void shouldPutTheLowerIndexFirstWhenScoresAreEqual() {
    assertThat(top(3, 2, 5, 2, 5)).extracting(Label::index).containsExactly(1, 3, 0);
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "3, 3", "4, 4", "5, 4", "1000000, 4"})
  void shouldRankNoMoreLabelsThanAskedForOrThere(int asked, int ranked) {
    assertThat(top(asked, 1, 2, 3, 4)).hasSize(ranked);
  }

  @Test
  void shouldScoreBySoftmaxOverAllClasses() {
    // e^0 : e^ln2 : e^ln5 = 1 : 2 : 5, and e^-inf = 0.
    List<Label> labels = top(2, 0, (float) Math.log(2), (float) Math.log(5), Float.NEGATIVE_INFINITY);
    assertThat(labels.get(0).score()).isEqualTo(5f / 8, within(1e-6f));
    assertThat(labels.get(1).score()).isEqualTo(2f / 8, within(1e-6f));
  }

  @Test
  void shouldSurviveLogitsWhoseExponentialOverflows() {
    assertThat(top(1, 1000, 0, -1000, 999)).containsExactly(new Label(0, "ash", (float) (1 / (1 + Math.exp(-1)))));
  }

  private static List<Label> top(int count, float... logits) {
    return Ranking.top(FloatBuffer.wrap(logits), NAMES, count);
  }
}
