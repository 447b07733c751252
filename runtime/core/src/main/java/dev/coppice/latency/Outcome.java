package dev.coppice.latency;

import dev.coppice.api.DeviceState;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * What a measurement found.
 *
 * @param plan how it was measured
 * @param samples every time
 * @param elapsedNanos from the first sample to the last, without what the measurement itself took
 * @param busyNanos the part of them in which the task ran
 * @param coolDownNanos for which it waited before the warm-up
 * @param startCelsius the processor's temperature after that; empty if not known
 * @param warmUpRuns before the first sample
 * @param verdict empty without a limit, unless it is {@link Verdict#INVALID}
 * @param findings what speaks against the samples, allowed by the plan or not
 * @param readings states of the board, the first from before the first sample, the last from after the last
 * @param ownCost what measuring a sample costs by itself
 * @param unknown what the board does not tell, and why
 */
public record Outcome(LatencyPlan plan, Samples samples, long elapsedNanos, long busyNanos, long coolDownNanos, OptionalDouble startCelsius, int warmUpRuns, Optional<Verdict> verdict,
    List<Finding> findings, List<DeviceState> readings, OwnCost ownCost, Map<String, String> unknown) {

  /** Copies the collections. */
  public Outcome {
    Objects.requireNonNull(plan, "plan");
    Objects.requireNonNull(samples, "samples");
    Objects.requireNonNull(startCelsius, "startCelsius");
    Objects.requireNonNull(verdict, "verdict");
    Objects.requireNonNull(ownCost, "ownCost");
    findings = List.copyOf(Objects.requireNonNull(findings, "findings"));
    readings = List.copyOf(Objects.requireNonNull(readings, "readings"));
    unknown = Collections.unmodifiableMap(new TreeMap<>(Objects.requireNonNull(unknown, "unknown"))); // in an order that people can read
  }

  /** The same with something else to know, which makes it invalid unless the plan allows that. */
  public Outcome with(Finding finding) {
    List<Finding> all = new ArrayList<>(findings);
    all.add(Objects.requireNonNull(finding, "finding"));
    Optional<Verdict> judged = plan.allowed().contains(finding.doubt()) ? verdict : Optional.of(Verdict.INVALID);
    return new Outcome(plan, samples, elapsedNanos, busyNanos, coolDownNanos, startCelsius, warmUpRuns, judged, all, readings, ownCost, unknown);
  }

  /** Runs a second. */
  public double throughput() {
    return samples.count() * 1e9 / elapsedNanos;
  }

  /** A sentence about samples of more than ten medians, in scenarios where others do not wait for them; empty if there are none. */
  public Optional<String> stalls() {
    long many = samples.over(10 * samples.percentile(50));
    return many == 0 || plan.scenario() == Scenario.SERVER ? Optional.empty() : Optional.of(many + " of " + samples.count() + " samples took more than 10 times the median, the longest "
        + Durations.text(samples.max()) + "; in a closed loop nobody waits for them: measure SERVER to see what they cost.");
  }

  /** The percentile with both bounds, the confidence, and the numbers they come from, in one line. */
  public String percentileLine() {
    PercentileBound bound = plan.bound();
    String over = plan.limit().map(limit -> ", " + samples.over(limit.toNanos()) + " above " + Durations.text(limit.toNanos())).orElse("");
    return String.format(Locale.ROOT, "p%s %s, with %s %% confidence from %s to %s (%d samples, worth %d independent ones%s)", number(plan.percentile()),
        Durations.text(samples.percentile(plan.percentile())), number(100 * bound.confidence()), text(samples.lower(bound)), text(samples.upper(bound)),
        samples.count(), samples.effectiveCount(plan.percentile()), over);
  }

  /** The verdict in a sentence that says what to do. */
  public String sentence() {
    String what = plan.scenario() + " " + percentileLine();
    Optional<Finding> against = findings.stream().filter(finding -> !plan.allowed().contains(finding.doubt())).findFirst();
    if (against.isPresent()) {
      return "INVALID: " + against.get().sentence() + " " + what + ".";
    }
    String allowed = findings.isEmpty() ? "" : "Allowed: " + findings.get(0).sentence() + " ";
    String limit = plan.limit().map(l -> Durations.text(l.toNanos())).orElse("");
    return allowed + verdict.map(v -> switch (v) {
      case PASS -> "PASS: within " + limit + ": " + what + ".";
      case FAIL -> "FAIL: beyond " + limit + ": " + what + ".";
      default -> "INCONCLUSIVE: " + limit + " lies between the bounds, or there are fewer than the " + plan.bound().fewestSamples(0)
          + " independent samples that are needed at least; measure longer: " + what + ".";
    }).orElse(what + ".");
  }

  private static String text(OptionalLong nanos) {
    return nanos.isPresent() ? Durations.text(nanos.getAsLong()) : "unknown";
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.3f", value).replaceAll("\\.?0+$", "");
  }
}
