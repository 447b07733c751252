package dev.coppice.testing;

import org.assertj.core.configuration.Configuration;
import org.assertj.core.configuration.PreferredAssumptionException;

/** Makes AssertJ skip tests in JUnit's way: the rules of Reactive Streams bring TestNG along, whose way it would take. */
public final class SkippedByJUnit extends Configuration {

  @Override
  public PreferredAssumptionException preferredAssumptionException() {
    return PreferredAssumptionException.JUNIT5;
  }

  @Override
  public String describe() {
    return "skipped by JUnit: " + super.describe();
  }
}
