package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Soak;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Runs for long, with the bundle opened anew every now and then, and nothing grows. */
@Tag("child-jvm")
@Tag("scaled")
final class SoakTest {

  private static final int TIMES = Integer.getInteger("coppice.stress", 1);
  private static final int RUNS = TIMES == 1 ? 5_000 : 50_000 * TIMES;

  /** A line of {@link Soak}. */
  private record Sample(long rssKib, long files, long threads, long directKib, long p99Nanos) {
    static Sample of(String line) {
      long[] values = Stream.of(line.split(" ")).mapToLong(Long::parseLong).toArray();
      return new Sample(values[0], values[1], values[2], values[3], values[4]);
    }
  }

  private static long leastDirectKib(List<Sample> samples) {
    return samples.stream().mapToLong(Sample::directKib).min().orElseThrow();
  }

  @Test
  void shouldNotGrow() throws Exception {
    // A heap that is touched at the start and compilers that stay: their coming and going would look like a leak.
    ChildJvm.End end = new ChildJvm().withOption("-Xmx64m").withOption("-Xms64m").withOption("-XX:+AlwaysPreTouch").withOption("-XX:-UseDynamicNumberOfCompilerThreads")
        .with("org.slf4j.simpleLogger.defaultLogLevel", "warn").running(Soak.class, ShippedBundle.FOLDER, RUNS, TIMES == 1 ? 250 : 1000).run(900L * TIMES);
    assertThat(end.code()).as(end.output()).isZero();
    List<Sample> samples = end.output().lines().map(Sample::of).toList();
    assertThat(samples).hasSize(100);
    List<Sample> settled = samples.subList(10, 100);
    assertThat(settled).extracting(Sample::files).as("open files").containsOnly(settled.get(0).files());
    assertThat(settled).extracting(Sample::threads).as("threads").containsOnly(settled.get(0).threads());
    // A buffer of a closed bundle goes when the collector says so: single samples may still have it, not all.
    assertThat(leastDirectKib(settled.subList(80, 90))).as("direct memory").isEqualTo(leastDirectKib(settled.subList(0, 10)));
    long grown = settled.get(89).rssKib() - settled.get(0).rssKib();
    // A megabyte every 100,000 runs; the compiler's own memory, which comes and goes, is a few. One leaked session an opening is 5 MB each.
    assertThat(grown).as("KiB of resident memory").isLessThan(8 * 1024 + 1024L * RUNS / 100_000);
  }
}
