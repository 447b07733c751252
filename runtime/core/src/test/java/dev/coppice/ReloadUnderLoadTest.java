package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.child.ChildJvm;
import dev.coppice.child.Footprint;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Versions whose labels name them, replaced while three threads classify without a pause. */
@Tag("build-machine")
final class ReloadUnderLoadTest {

  @TempDir private Path folder;

  @Test
  void shouldFailNoRequestAndMixNoVersionsInFiftySwaps() throws Exception {
    assertThat(new Swaps(folder, Swaps::classifier).requestsDuring(50, swap -> { })).as("requests").isGreaterThan(500);
  }

  @Test
  void shouldFailNoRequestOfASchedulerInTwentySwaps() throws Exception {
    assertThat(new Swaps(folder, Swaps::scheduler).requestsDuring(20, swap -> { })).as("requests").isGreaterThan(200);
  }

  @Test
  @Tag("stress")
  void shouldFailNoRequestAndMixNoVersionsInAThousandSwaps() throws Exception {
    ChildJvm.End end = Footprint.steady(new ChildJvm()).with("org.slf4j.simpleLogger.defaultLogLevel", "off")
        .with("coppice.bundle", System.getProperty("coppice.bundle")).running(Swaps.class, folder, 1000).run(3600);
    assertThat(end.code()).as(end.output()).isZero();
    List<Footprint> after = end.output().lines().filter(line -> line.matches("[\\d ]+")).map(Footprint::parse).toList(); // AssertJ speaks too
    System.out.println("resident KiB after each hundredth swap: " + after.stream().map(Footprint::residentKib).toList());
    assertThat(after).hasSize(10);
    assertThat(after.get(9).residentKib()).isLessThan(after.get(0).residentKib() * 105 / 100);
    assertThat(after.get(9).directKib()).isLessThan(1024);
  }
}
