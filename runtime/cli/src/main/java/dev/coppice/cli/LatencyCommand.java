package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import dev.coppice.latency.Comparison;
import dev.coppice.latency.Doubt;
import dev.coppice.latency.Durations;
import dev.coppice.latency.Facts;
import dev.coppice.latency.LatencyPlan;
import dev.coppice.latency.Measurement;
import dev.coppice.latency.Outcome;
import dev.coppice.latency.Preset;
import dev.coppice.latency.ReportCheck;
import dev.coppice.latency.ReportJson;
import dev.coppice.latency.Scenario;
import dev.coppice.latency.Verdict;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code coppice latency}. */
@Command(
    name = "latency",
    mixinStandardHelpOptions = true,
    description = "Measures how long a bundle takes on this machine, and says what that proves.",
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {"0:measured; with --limit: PASS", "1:FAIL, INVALID, or it could not be done", "2:wrong usage", "3:a bundle was refused", "4:INCONCLUSIVE, or another board than --devices"})
final class LatencyCommand implements Callable<Integer> {

  private static final int INCONCLUSIVE = 4;
  /** Where the kernel's files are: tests name the folder of a fake board. */
  private static final String ROOT = "coppice.latency.root";

  @Spec private CommandSpec command;

  @Mixin private TrustOption trust;

  @Mixin private OpeningOption openingOption;

  @Parameters(arity = "0..1", paramLabel = "BUNDLE", description = "The bundle folder.")
  private Path bundle;

  @Option(names = "--scenario", paramLabel = "NAME", defaultValue = "single",
      description = "single: the next run starts when the last is done; server: requests come at random; offline: throughput. Default: ${DEFAULT-VALUE}.")
  private Name scenario;

  @Option(names = "--rate", paramLabel = "N", defaultValue = "0", description = "Requests a second of the scenario server.")
  private double rate;

  @Option(names = "--percentile", paramLabel = "P", defaultValue = "99", description = "Of the latencies. Default: ${DEFAULT-VALUE}.")
  private double percentile;

  @Option(names = "--confidence", paramLabel = "C", defaultValue = "0.99", description = "Of the bounds and the verdict. Default: ${DEFAULT-VALUE}.")
  private double confidence;

  @Option(names = "--limit", paramLabel = "TIME", description = "Of the percentile (40 ms), for a verdict.")
  private String limit;

  @Option(names = "--devices", paramLabel = "BOARD", split = ",", description = "Boards that the limit is meant for; on others nothing is measured. Default: any machine.")
  private List<String> devices = List.of();

  @Option(names = "--require", description = "With --devices: fail on other boards.")
  private boolean required;

  @Option(names = "--preset", paramLabel = "NAME", defaultValue = "quick",
      description = "quick: 60 s; standard: 60 s, up to 600 s for a verdict; mlperf: 600 s. Default: ${DEFAULT-VALUE}.")
  private Preset preset;

  @Option(names = "--duration", paramLabel = "TIME", description = "Time to measure. Default: the preset's.")
  private String duration;

  @Option(names = "--max-duration", paramLabel = "TIME", description = "Time to go on for a verdict. Default: the duration, else the preset's.")
  private String maxDuration;

  @Option(names = "--cool-down", paramLabel = "TIME", defaultValue = "5 min",
      description = "Longest time to wait until the processor is 10 K below the point where its clock is lowered. Default: ${DEFAULT-VALUE}.")
  private String coolDown;

  @Option(names = "--warm-up", paramLabel = "TIME", defaultValue = "60 s", description = "Longest time to become steady. Default: ${DEFAULT-VALUE}.")
  private String warmUp;

  @Option(names = "--allow", paramLabel = "DOUBT", split = ",", description = "What may happen without making the result INVALID: ${COMPLETION-CANDIDATES}.")
  private Set<Doubt> allowed = Set.of();

  @Option(names = "--keep", paramLabel = "BUDGET", converter = ClassifyCommand.KeepConverter.class,
      description = "Tokens to spend: a ratio (0.5), counts (70,49) or a rung (low). Default: the bundle's default rung.")
  private Keep keep;

  @Option(names = "--image", paramLabel = "FILE", description = "JPEG or PNG to classify. Default: noise of the model's size.")
  private Path picture;

  @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "Of the arrivals of the scenario server. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(names = "--report", paramLabel = "FILE", description = "Write the whole report as JSON; it names no person, host or folder.")
  private Path report;

  @Option(names = "--curve", paramLabel = "FILE.json", description = "Instead: the time over token counts, with a PNG and an SVG of it beside the file.")
  private Path curve;

  @Option(names = "--compare", paramLabel = "OTHER", description = "Instead: how much longer this other bundle takes, side by side.")
  private Path other;

  @Option(names = "--check-report", paramLabel = "FILE", description = "Instead: check a report that somebody sent.")
  private Path reportToCheck;

  /** Scenarios by their short names. */
  enum Name {
    SINGLE(Scenario.SINGLE_STREAM), SERVER(Scenario.SERVER), OFFLINE(Scenario.OFFLINE);

    private final Scenario scenario;

    Name(Scenario scenario) {
      this.scenario = scenario;
    }
  }

  @Override
  public Integer call() throws Exception {
    if (reportToCheck != null) {
      return check();
    }
    if (bundle == null) {
      throw new ParameterException(command.commandLine(), "Missing required parameter: 'BUNDLE'.");
    }
    if (Stream.of(report, curve, other).filter(Objects::nonNull).count() > 1) {
      throw new ParameterException(command.commandLine(), "--report, --curve and --compare exclude each other.");
    }
    OpenOptions opening = openingOption.options(trust);
    Duration time = duration == null ? preset.minDuration() : Durations.parse("--duration", duration);
    Duration longest = maxDuration != null ? Durations.parse("--max-duration", maxDuration) : duration == null ? preset.maxDuration() : time;
    LatencyPlan plan = LatencyPlan.defaults()
        .withDurations(Durations.parse("--warm-up", warmUp), time, longest).withCoolDown(Durations.parse("--cool-down", coolDown))
        .withScenario(scenario.scenario, rate).withSeed(seed).withAllowed(allowed)
        .withLimit(percentile, limit == null ? Optional.empty() : Optional.of(Durations.parse("--limit", limit)), confidence);
    if (required && devices.isEmpty()) {
      throw new ParameterException(command.commandLine(), "--require needs --devices.");
    }
    Optional<String> mismatch = Facts.otherBoard(root(), devices);
    if (mismatch.isPresent()) {
      command.commandLine().getOut().println("SKIPPED: " + mismatch.get() + "; nothing was measured.");
      command.commandLine().getOut().flush();
      return required ? 1 : INCONCLUSIVE;
    }
    if (report != null && !Files.isDirectory(report.toAbsolutePath().getParent())) {
      throw new IllegalArgumentException("--report must be a file in a folder that exists: " + report); // before minutes of measuring
    }
    try (Classifier classifier = Coppice.open(bundle, opening)) {
      if (curve != null) {
        new LatencyCurve(classifier, opening.threads(), root(), curve).measure(time, image(classifier), progress("visits"), command.commandLine().getOut());
        return 0;
      }
      return other == null ? measure(classifier, plan, opening) : compare(classifier, opening, time);
    }
  }

  private int measure(Classifier classifier, LatencyPlan plan, OpenOptions opening) throws Exception {
    Outcome outcome;
    try (Progress progress = progress("samples")) {
      outcome = Measurement.run(plan, task(classifier), root(), progress);
    }
    PrintWriter out = command.commandLine().getOut();
    out.println(outcome.sentence());
    out.println("Times are " + outcome.plan().scenario().meaning() + "; median " + Durations.text(outcome.samples().percentile(50)) + ", longest " + Durations.text(outcome.samples().max()) + ", "
        + String.format(Locale.ROOT, "%.1f", outcome.throughput()) + " runs a second.");
    out.println(outcome.ownCost().sentence());
    outcome.stalls().ifPresent(out::println);
    outcome.unknown().forEach((sensor, reason) -> out.println("Not known: " + sensor + " (" + reason + ")."));
    out.flush();
    if (report != null) {
      Map<String, String> about = new LinkedHashMap<>(Map.of("date", LocalDate.now(ZoneOffset.UTC).toString()));
      about.putAll(Facts.machine(root(), Coppice.diagnostics()));
      about.putAll(Facts.model(classifier.bundle(), opening.threads()));
      about.put("keep", classifier.classify(image(classifier), options()).keep().stream().map(String::valueOf).collect(Collectors.joining(",")));
      Files.writeString(report, ReportJson.of(about, outcome));
    }
    Optional<Verdict> verdict = outcome.verdict();
    return verdict.isEmpty() || verdict.get() == Verdict.PASS ? 0 : verdict.get() == Verdict.INCONCLUSIVE ? INCONCLUSIVE : 1;
  }

  private int compare(Classifier classifier, OpenOptions opening, Duration time) throws Exception {
    try (Classifier second = Coppice.open(other, opening)) {
      Comparison found;
      try (Progress progress = progress("rounds")) {
        found = Comparison.run(time, task(classifier), task(second), progress);
      }
      PrintWriter out = command.commandLine().getOut();
      out.println(found.sentence());
      out.flush();
    }
    return 0;
  }

  private int check() throws IOException {
    List<String> faults;
    try {
      faults = ReportCheck.faults(Files.readString(reportToCheck));
    } catch (NoSuchFileException e) {
      throw new IllegalArgumentException("--check-report must be a file that exists: " + reportToCheck, e);
    }
    PrintWriter out = command.commandLine().getOut();
    faults.forEach(out::println);
    out.println(faults.isEmpty() ? "The report is complete and agrees with itself." : faults.size() + " faults.");
    out.flush();
    return faults.isEmpty() ? 0 : 1;
  }

  private Measurement.Task task(Classifier classifier) {
    Image image = image(classifier);
    RunOptions options = options();
    return () -> classifier.classify(image, options);
  }

  private static Path root() {
    return Path.of(System.getProperty(ROOT, "/"));
  }

  private RunOptions options() {
    return keep == null ? RunOptions.defaults() : RunOptions.defaults().withKeep(keep);
  }

  /** Noise, because methods that choose tokens by content keep as many of it as of a picture, or more. */
  private Image image(Classifier classifier) {
    if (picture != null) {
      return Coppice.image(picture);
    }
    int edge = classifier.bundle().preprocessing().crop();
    byte[] rgb = new byte[3 * edge * edge];
    new SplittableRandom(1).nextBytes(rgb);
    return new Image(edge, edge, rgb, 0);
  }

  private Progress progress(String what) {
    return new Progress(command.commandLine().getErr(), what);
  }
}
