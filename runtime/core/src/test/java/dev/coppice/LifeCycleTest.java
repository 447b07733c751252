package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Exit;
import dev.coppice.child.Race;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** No order of opening, running, cancelling, closing and exiting brings the JVM down. `make stress` has twenty times as much of each. */
@Tag("child-jvm")
@Tag("scaled")
final class LifeCycleTest {

  private static final int TIMES = Integer.getInteger("coppice.stress", 1);

  @TempDir private Path folder;

  @Test
  void shouldSurviveClosingAndCancellingDuringRunsOfEightThreads() throws Exception {
    ChildJvm.End end = in(new ChildJvm().withOption("-Xcheck:jni").running(Race.class, ShippedBundle.FOLDER, 8, 5000 * TIMES, 1)).run(120L * TIMES);
    assertThat(end.output()).endsWith("ran=true closed=true").doesNotContain("dev.coppice.ops", "SIGSEGV");
    assertThat(end.code()).as(end.output()).isZero();
    assertThat(folder).isEmptyDirectory();
  }

  static Stream<List<Object>> exits() {
    return IntStream.range(0, TIMES == 1 ? 16 : 50 * TIMES).mapToObj(i -> List.of(i % 2 == 0 ? "open" : "run", 1000 + 7919 * i % 60_000));
  }

  @ParameterizedTest
  @MethodSource("exits")
  void shouldExitWithItsOwnCodeInTheMiddleOfAnything(List<Object> when) throws Exception {
    ChildJvm.End end = in(new ChildJvm().running(Exit.class, ShippedBundle.FOLDER, when.get(0), when.get(1))).run();
    assertThat(end.code()).as(end.output()).isEqualTo(7);
    assertThat(folder).isEmptyDirectory();
  }

  /** Where a crash leaves its report. */
  private ChildJvm in(ChildJvm jvm) {
    return jvm.withOption("-XX:ErrorFile=" + folder.resolve("hs_err.log"));
  }
}
