package dev.coppice.latency;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * How to measure.
 *
 * <p>The verdict is looked for after {@code minDuration}, twice that and so on, and at {@code maxDuration}. Many looks are many
 * chances to be wrong, so each look takes its equal share of 1 - confidence.
 *
 * @param scenario how runs follow each other
 * @param rate requests a second of {@link Scenario#SERVER}; 0 in the others
 * @param percentile above 0 and below 100
 * @param confidence of the verdict
 * @param limit of the percentile; without one there is no verdict
 * @param minDuration of the samples, without the warm-up
 * @param maxDuration no shorter than {@code minDuration}, at most a day
 * @param warmUp longest time to become steady; at least 50 runs are made in any case
 * @param coolDown longest time to wait before the warm-up until the processor is cool enough; 0 to wait for nothing
 * @param capacity most samples, 1..10,000,000; eight bytes each are reserved
 * @param seed of the random arrivals
 * @param allowed doubts that do not make the result invalid
 */
public record LatencyPlan(Scenario scenario, double rate, double percentile, double confidence, Optional<Duration> limit, Duration minDuration,
    Duration maxDuration, Duration warmUp, Duration coolDown, int capacity, long seed, Set<Doubt> allowed) {

  private static final Duration LONGEST = Duration.ofDays(1);
  private static final LatencyPlan DEFAULTS = new LatencyPlan(Scenario.SINGLE_STREAM, 0, 99, 0.99, Optional.empty(), Duration.ofSeconds(60),
      Duration.ofSeconds(60), Duration.ofSeconds(60), Duration.ofMinutes(5), 1_000_000, 1, Set.of());

  /** Checks that the plan can be carried out. */
  public LatencyPlan {
    Objects.requireNonNull(limit, "limit");
    Objects.requireNonNull(scenario, "scenario");
    allowed = Set.copyOf(Objects.requireNonNull(allowed, "allowed"));
    requireDuration("limit", limit.orElse(LONGEST));
    requireDuration("minDuration", minDuration);
    requireDuration("maxDuration", maxDuration);
    requireDuration("warmUp", warmUp);
    if (Objects.requireNonNull(coolDown, "coolDown").isNegative() || coolDown.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("coolDown must be at least 0 and at most a day: " + coolDown);
    }
    if (minDuration.compareTo(maxDuration) > 0) {
      throw new IllegalArgumentException("minDuration must be at most maxDuration: " + seconds(minDuration) + " above " + seconds(maxDuration));
    }
    if (scenario == Scenario.SERVER ? !(rate > 0 && rate <= 1e6) : rate != 0) {
      throw new IllegalArgumentException("rate must be above 0 and at most 1000000 a second for SERVER, and 0 for other scenarios: " + rate + " for " + scenario);
    }
    if (scenario == Scenario.OFFLINE && limit.isPresent()) {
      throw new IllegalArgumentException("limit must not be given for OFFLINE, which measures throughput; use SINGLE_STREAM or SERVER: " + Durations.text(limit.get().toNanos()));
    }
    if (capacity < 1 || capacity > 10_000_000) {
      throw new IllegalArgumentException("capacity must be 1..10000000: " + capacity);
    }
    new PercentileBound(percentile, confidence); // refuses both by name
    PercentileBound bound = new PercentileBound(percentile, 1 - (1 - confidence) / looks(limit, minDuration, maxDuration).size());
    double expected = scenario == Scenario.SERVER ? Math.min(capacity, rate * nanos(maxDuration) / 1e9) : capacity;
    if (limit.isPresent() && bound.mostOver((long) expected) < 0) {
      throw new IllegalArgumentException("percentile " + percentile + " needs at least " + bound.fewestSamples(0) + " samples for a verdict, and there will be about "
          + (long) expected + ": choose a lower percentile, or more time");
    }
  }

  /** Single stream, p99 with 99 % confidence, no limit, 60 seconds after at most 5 minutes of cooling down and 60 seconds of warming up, a million samples. */
  public static LatencyPlan defaults() {
    return DEFAULTS;
  }

  /** The same in another scenario; {@code newRate} is 0 unless that is {@link Scenario#SERVER}. */
  public LatencyPlan withScenario(Scenario newScenario, double newRate) {
    return new LatencyPlan(newScenario, newRate, percentile, confidence, limit, minDuration, maxDuration, warmUp, coolDown, capacity, seed, allowed);
  }

  /** The same with a limit of this percentile, with this confidence. */
  public LatencyPlan withLimit(double newPercentile, Optional<Duration> newLimit, double newConfidence) {
    return new LatencyPlan(scenario, rate, newPercentile, newConfidence, newLimit, minDuration, maxDuration, warmUp, coolDown, capacity, seed, allowed);
  }

  /** The same for other durations. */
  public LatencyPlan withDurations(Duration newWarmUp, Duration newMin, Duration newMax) {
    return new LatencyPlan(scenario, rate, percentile, confidence, limit, newMin, newMax, newWarmUp, coolDown, capacity, seed, allowed);
  }

  /** The same with another longest wait for a cool processor. */
  public LatencyPlan withCoolDown(Duration newCoolDown) {
    return new LatencyPlan(scenario, rate, percentile, confidence, limit, minDuration, maxDuration, warmUp, newCoolDown, capacity, seed, allowed);
  }

  /** The same with room for other numbers of samples. */
  public LatencyPlan withCapacity(int newCapacity) {
    return new LatencyPlan(scenario, rate, percentile, confidence, limit, minDuration, maxDuration, warmUp, coolDown, newCapacity, seed, allowed);
  }

  /** The same with other arrivals. */
  public LatencyPlan withSeed(long newSeed) {
    return new LatencyPlan(scenario, rate, percentile, confidence, limit, minDuration, maxDuration, warmUp, coolDown, capacity, newSeed, allowed);
  }

  /** The same where these doubts do not make the result invalid. */
  public LatencyPlan withAllowed(Set<Doubt> newAllowed) {
    return new LatencyPlan(scenario, rate, percentile, confidence, limit, minDuration, maxDuration, warmUp, coolDown, capacity, seed, newAllowed);
  }

  /** The bound that holds at every look at once with the plan's confidence. */
  public PercentileBound bound() {
    return new PercentileBound(percentile, 1 - (1 - confidence) / looks().size());
  }

  /** Nanoseconds after the first sample at which the verdict is looked for; the last ends the measurement. */
  List<Long> looks() {
    return looks(limit, minDuration, maxDuration);
  }

  private static List<Long> looks(Optional<Duration> limit, Duration first, Duration last) {
    List<Long> at = new ArrayList<>();
    if (limit.isPresent()) {
      for (long nanos = nanos(first); nanos < nanos(last); nanos *= 2) {
        at.add(nanos);
      }
      at.add(nanos(last));
    } else {
      at.add(nanos(first));
    }
    return at;
  }

  private static void requireDuration(String name, Duration duration) {
    if (Objects.requireNonNull(duration, name).isNegative() || duration.isZero() || duration.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(name + " must be above 0 and at most a day: " + duration);
    }
  }

  private static long nanos(Duration duration) {
    return duration.toNanos();
  }

  private static String seconds(Duration duration) {
    return Durations.text(duration.toNanos());
  }
}
