package dev.coppice.junit;

import dev.coppice.latency.Doubt;
import dev.coppice.latency.Preset;
import dev.coppice.latency.Scenario;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.ResourceLock;
import org.junit.jupiter.api.parallel.Resources;

/**
 * A test of how long something takes on a board. The method takes a {@link LatencyProbe} and hands it what is to be timed:
 *
 * <pre>{@code
 * @LatencyTest(bundle = "models/vit-tiny", percentile = 99, limit = "40 ms", devices = "raspberry-pi-5")
 * void classifiesOneFrame(LatencyProbe probe) throws Exception {
 *   Image frame = Coppice.image(Path.of("frame.jpg"));
 *   probe.measure(() -> probe.classifier().classify(frame));
 * }
 * }</pre>
 *
 * <p>It passes if the percentile is within the limit with the given confidence, fails if it is beyond, and is aborted if the
 * samples cannot tell or something disturbed them; {@code coppice.latency.strict=true} makes an abortion a failure. On other
 * boards than {@link #devices()} it is skipped; {@code coppice.latency.require} with the name of a board makes skipping on
 * what should be that board a failure. Both are configuration parameters of JUnit or system properties. No other test runs
 * meanwhile.
 */
@Documented
@Target({ElementType.METHOD, ElementType.ANNOTATION_TYPE})
@Retention(RetentionPolicy.RUNTIME)
@TestTemplate
@ExtendWith(LatencyExtension.class)
@ResourceLock(Resources.GLOBAL)
public @interface LatencyTest {

  /** Folder of the bundle that {@link LatencyProbe#classifier()} opens; none if empty. */
  String bundle() default "";

  /** Threads of one run of the bundle; 0 for the default of {@code OpenOptions}. */
  int threads() default 0;

  /** How runs follow each other. */
  Scenario scenario() default Scenario.SINGLE_STREAM;

  /** Requests a second of {@link Scenario#SERVER}. */
  double rate() default 0;

  /** Of the latencies, above 0 and below 100. */
  double percentile() default 99;

  /** Of the percentile, with its unit: us, ms, s or min. */
  String limit();

  /** Of the verdict, at least 0.5 and below 1. */
  double confidence() default 0.99;

  /** Boards that the limit is meant for, by the names in {@code docs/reference/boards.md}; empty for any machine. */
  String[] devices() default {};

  /** How long to measure, where {@link #minDuration()} and {@link #maxDuration()} do not say. */
  Preset preset() default Preset.STANDARD;

  /** Least time of measuring, with its unit; empty for the preset's. */
  String minDuration() default "";

  /** Longest time of measuring, as long as there is no verdict; empty for the preset's. */
  String maxDuration() default "";

  /**
   * Longest time to wait, before the warm-up, until the processor is 10 K below the point where its clock is lowered, and at most
   * 3 K warmer than when the first fork began.
   */
  String coolDown() default "5 min";

  /** Longest time of warming up. */
  String warmUp() default "60 s";

  /**
   * Measurements, 1 to 20, each with a classifier of its own and warmed up anew, in the same JVM. All must pass, and their
   * percentiles must lie within 10 % of each other.
   */
  int forks() default 1;

  /** What may happen without making the result invalid; the report begins with it. */
  Doubt[] allow() default {};

  /**
   * Whether the JDK's flight recorder runs during the measurement, and its recording is published as {@code latency.jfr}: what the
   * JVM and the machine did beside the samples. It costs time of its own.
   */
  boolean record() default false;

  /** Of the arrivals of {@link Scenario#SERVER}. */
  long seed() default 1;
}
