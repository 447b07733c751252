package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import org.junit.jupiter.api.Test;

/** A run that is meant for one kind of machine says so, and fails on any other: an emulator that fell back would pass all else. */
final class ExpectedMachineTest {

  @Test
  void shouldRunOnTheArchitectureThatTheBuildExpects() {
    assertThat(System.getProperty("os.arch")).isEqualTo(expected("coppice.expect.arch"));
  }

  @Test
  void shouldUseTheInstructionSetThatTheBuildExpects() {
    assertThat(Coppice.diagnostics().facts().get("isa")).isEqualTo(expected("coppice.expect.isa"));
  }

  private static String expected(String property) {
    String value = System.getProperty(property);
    assumeThat(value).as("-D%s is not given, so any machine is right", property).isNotNull();
    return value;
  }
}
