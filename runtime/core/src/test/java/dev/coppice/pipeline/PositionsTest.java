package dev.coppice.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.tensor.LongTensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The survivors of a stage: the graph fills up with -1 where the picture decides, and merging changes their order. */
final class PositionsTest {

  @Test
  void shouldEndWhereTheTokensEnd() {
    LongTensor stage = LongTensor.vector(List.of(0, 3, 7, -1, -1));
    assertThat(Pipeline.positions(List.of(stage, LongTensor.vector(List.of(0, 3))))).containsExactly(List.of(0, 3, 7), List.of(0, 3));
  }

  @Test
  void shouldAscendAndLeaveOutTokensWithoutAPlace() {
    assertThat(Pipeline.positions(List.of(LongTensor.vector(List.of(0, 4, 6, -1, 1, 3))))).containsExactly(List.of(0, 1, 3, 4, 6));
  }
}
