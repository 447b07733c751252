package dev.coppice.junit;

import dev.coppice.api.OpenOptions;
import dev.coppice.latency.Durations;
import dev.coppice.latency.Facts;
import dev.coppice.latency.LatencyPlan;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;
import org.junit.platform.commons.support.AnnotationSupport;

/** Turns a {@link LatencyTest} into its forks, on the boards it is meant for. */
final class LatencyExtension implements TestTemplateInvocationContextProvider, ExecutionCondition {

  private static final int MOST_FORKS = 20;

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    Optional<String> mismatch = mismatch(context);
    // Where the board is required, the template runs into a failure of its own, with the same reason.
    return mismatch.isPresent() && !required(context) ? ConditionEvaluationResult.disabled(mismatch.get()) : ConditionEvaluationResult.enabled("the limit is meant for this board");
  }

  @Override
  public boolean supportsTestTemplate(ExtensionContext context) {
    return true;
  }

  @Override
  public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(ExtensionContext context) {
    mismatch(context).ifPresent(reason -> {
      throw new AssertionError(reason + "; coppice.latency.require says that it must not be skipped.");
    });
    LatencyTest test = test(context);
    try {
      LatencyPlan plan = plan(test);
      if (test.forks() < 1 || test.forks() > MOST_FORKS) {
        throw new IllegalArgumentException("forks must be 1.." + MOST_FORKS + ": " + test.forks());
      }
      OpenOptions options = test.threads() == 0 ? OpenOptions.defaults() : OpenOptions.defaults().withThreads(test.threads());
      Optional<Path> bundle = test.bundle().isEmpty() ? Optional.empty() : Optional.of(Path.of(test.bundle()));
      if (bundle.isPresent() && !Files.isRegularFile(bundle.get().resolve("bundle.json"))) {
        throw new IllegalArgumentException("bundle must be a folder with a bundle.json: " + bundle.get().toAbsolutePath());
      }
      Forks forks = new Forks(test.forks());
      return IntStream.rangeClosed(1, test.forks()).mapToObj(fork -> new Fork(fork, forks, plan, bundle, options, root(context), test.record(), strict(context)));
    } catch (IllegalArgumentException e) {
      throw new ExtensionConfigurationException("@LatencyTest of " + context.getRequiredTestMethod().getName() + ": " + e.getMessage() + ".", e);
    }
  }

  private static LatencyPlan plan(LatencyTest test) {
    Duration limit = Durations.parse("limit", test.limit());
    // Durations first: a limit is checked against the samples that fit into them.
    return LatencyPlan.defaults()
        .withDurations(Durations.parse("warmUp", test.warmUp()), duration("minDuration", test.minDuration(), test.preset().minDuration()),
            duration("maxDuration", test.maxDuration(), test.preset().maxDuration()))
        .withCoolDown(Durations.parse("coolDown", test.coolDown()))
        .withScenario(test.scenario(), test.rate()).withSeed(test.seed()).withAllowed(Set.of(test.allow())).withLimit(test.percentile(), Optional.of(limit), test.confidence());
  }

  private static Duration duration(String name, String text, Duration preset) {
    return text.isEmpty() ? preset : Durations.parse(name, text);
  }

  /** Why this is not a board of the test. */
  private static Optional<String> mismatch(ExtensionContext context) {
    try {
      return Facts.otherBoard(root(context), Arrays.asList(test(context).devices()));
    } catch (IllegalArgumentException e) {
      throw new ExtensionConfigurationException(e.getMessage() + ".", e);
    }
  }

  private static boolean required(ExtensionContext context) {
    return context.getConfigurationParameter("coppice.latency.require").filter(board -> Arrays.asList(test(context).devices()).contains(board)).isPresent();
  }

  private static boolean strict(ExtensionContext context) {
    return context.getConfigurationParameter("coppice.latency.strict").filter(Boolean::parseBoolean).isPresent();
  }

  /** Where the kernel's files are: another folder than {@code /} holds those of a fake board. */
  private static Path root(ExtensionContext context) {
    return Path.of(context.getConfigurationParameter("coppice.latency.root").orElse("/"));
  }

  private static LatencyTest test(ExtensionContext context) {
    return AnnotationSupport.findAnnotation(context.getRequiredTestMethod(), LatencyTest.class).orElseThrow();
  }
}
