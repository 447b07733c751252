package dev.coppice.junit;

import dev.coppice.api.OpenOptions;
import dev.coppice.latency.LatencyPlan;
import dev.coppice.latency.Outcome;
import dev.coppice.latency.Verdict;
import java.io.IOException;
import java.nio.file.Path;
import java.text.ParseException;
import java.util.List;
import java.util.Optional;
import jdk.jfr.Configuration;
import jdk.jfr.Recording;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.opentest4j.AssertionFailedError;
import org.opentest4j.TestAbortedException;

/** One measurement of a {@link LatencyTest}: gives it a probe, publishes what was found, and judges. */
record Fork(int number, Forks forks, LatencyPlan plan, Optional<Path> bundle, OpenOptions options, Path root, boolean record, boolean strict)
    implements TestTemplateInvocationContext, ParameterResolver, AfterTestExecutionCallback {

  private static final ExtensionContext.Namespace ROOM = ExtensionContext.Namespace.create(LatencyTest.class);

  @Override
  public String getDisplayName(int index) {
    return plan.scenario() + " p" + plan.percentile() + ", fork " + number;
  }

  @Override
  public List<Extension> getAdditionalExtensions() {
    return List.of(this);
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == LatencyProbe.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    LatencyProbe probe = new LatencyProbe(plan, forks.first(), bundle, options, root, record ? Optional.of(recording()) : Optional.empty(), (measuring, outcome) -> judge(context, measuring, outcome));
    context.getStore(ROOM).put(LatencyProbe.class, probe); // closed with the store, after the test
    return probe;
  }

  /** With the JDK's own settings for short recordings. */
  private static Recording recording() {
    try {
      return new Recording(Configuration.getConfiguration("profile"));
    } catch (IOException | ParseException e) {
      throw new ExtensionConfigurationException("record needs a Java with the flight recorder's configuration \"profile\", found none (" + e + "); use another Java, or measure without.", e);
    }
  }

  @Override
  public void afterTestExecution(ExtensionContext context) {
    LatencyProbe probe = context.getStore(ROOM).get(LatencyProbe.class, LatencyProbe.class);
    if (context.getExecutionException().isEmpty() && (probe == null || !probe.measured())) {
      throw new AssertionFailedError("This latency test measured nothing: take a LatencyProbe as parameter and call its measure(...).");
    }
  }

  private void judge(ExtensionContext context, LatencyProbe probe, Outcome measured) throws Exception {
    Outcome outcome = forks.add(measured).map(measured::with).orElse(measured);
    Reports.publish(context, root, probe, outcome);
    Verdict verdict = outcome.verdict().orElseThrow();
    if (verdict == Verdict.FAIL || verdict != Verdict.PASS && strict) {
      throw new AssertionFailedError(outcome.sentence());
    }
    if (verdict != Verdict.PASS) {
      throw new TestAbortedException(outcome.sentence());
    }
  }
}
