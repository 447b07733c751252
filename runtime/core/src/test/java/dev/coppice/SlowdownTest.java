package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.child.ChildJvm;
import dev.coppice.child.SlowedCamera;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A real model on a processor that another program takes half of in the middle of the run; docs/explanation/scheduling.md has figures. */
@Tag("build-machine")
@Tag("child-jvm")
@Tag("stress")
final class SlowdownTest {

  private static final Pattern MET = Pattern.compile("met=([0-9.]+) frames=.*");

  private static double met(String mode) throws Exception {
    String bundle = System.getenv("COPPICE_STRESS_BUNDLE");
    assumeThat(bundle).as("COPPICE_STRESS_BUNDLE names no bundle with a ladder: docs/explanation/scheduling.md says how to make one").isNotNull();
    String output = new ChildJvm().running(SlowedCamera.class, bundle, "30", mode).pinnedTo(Runtime.getRuntime().availableProcessors() - 1).run().output();
    System.out.println(mode + ": " + output);
    Matcher found = MET.matcher(output);
    assertThat(found.find()).as(output).isTrue();
    return Double.parseDouble(found.group(1));
  }

  @Test
  void shouldMeetDeadlinesThatTheDenseModelMisses() throws Exception {
    assertThat(met("dense")).isLessThanOrEqualTo(0.5);
    assertThat(met("adaptive")).isGreaterThanOrEqualTo(0.99);
  }
}
