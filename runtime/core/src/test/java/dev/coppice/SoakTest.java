package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Footprint;
import dev.coppice.child.Soak;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Runs for long, with the bundle opened anew every now and then, and nothing grows. */
@Tag("child-jvm")
@Tag("scaled")
final class SoakTest {

  private static final int TIMES = Integer.getInteger("coppice.stress", 1);
  private static final int RUNS = TIMES == 1 ? 5_000 : 50_000 * TIMES;

  private static long leastDirectKib(List<Footprint> samples) {
    return samples.stream().mapToLong(Footprint::directKib).min().orElseThrow();
  }

  @Test
  void shouldNotGrow() throws Exception {
    ChildJvm.End end = Footprint.steady(new ChildJvm()).with("org.slf4j.simpleLogger.defaultLogLevel", "warn")
        .running(Soak.class, ShippedBundle.FOLDER, RUNS, TIMES == 1 ? 250 : 1000).run(900L * TIMES);
    assertThat(end.code()).as(end.output()).isZero();
    List<Footprint> samples = end.output().lines().map(Footprint::parse).toList();
    assertThat(samples).hasSize(100);
    List<Footprint> settled = samples.subList(10, 100);
    assertThat(settled).extracting(Footprint::files).as("open files").containsOnly(settled.get(0).files());
    assertThat(settled).extracting(Footprint::threads).as("threads").containsOnly(settled.get(0).threads());
    // A buffer of a closed bundle goes when the collector says so: single samples may still have it, not all.
    assertThat(leastDirectKib(settled.subList(80, 90))).as("direct memory").isEqualTo(leastDirectKib(settled.subList(0, 10)));
    long grown = settled.get(89).residentKib() - settled.get(0).residentKib();
    // A megabyte every 100,000 runs; the compiler's own memory, which comes and goes, is a few. One leaked session an opening is 5 MB each.
    assertThat(grown).as("KiB of resident memory").isLessThan(8 * 1024 + 1024L * RUNS / 100_000);
  }
}
