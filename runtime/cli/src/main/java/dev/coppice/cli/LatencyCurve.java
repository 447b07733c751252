package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.Rung;
import dev.coppice.api.RunOptions;
import dev.coppice.latency.CurveBudgets;
import dev.coppice.latency.CurveJson;
import dev.coppice.latency.Facts;
import dev.coppice.latency.Finding;
import dev.coppice.latency.TokenCurve;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/** {@code coppice latency --curve}: measures a bundle's staircase, and writes it as JSON with a picture (PNG and SVG) beside it. */
final class LatencyCurve {

  private final Classifier classifier;
  private final int threads;
  private final Path root;
  private final Path file;

  /** Refuses, before minutes of measuring, what cannot be measured or written. */
  LatencyCurve(Classifier classifier, int threads, Path root, Path file) {
    this.classifier = classifier;
    this.threads = threads;
    this.root = root;
    this.file = file;
    if (classifier.bundle().stages() == 0) {
      throw new IllegalArgumentException("--curve needs a bundle that can run with fewer tokens: " + classifier.bundle().name() + " has no stages");
    }
    if (!file.getFileName().toString().endsWith(".json") || !Files.isDirectory(file.toAbsolutePath().getParent())) {
      throw new IllegalArgumentException("--curve must be a file that ends in .json, in a folder that exists: " + file);
    }
  }

  void measure(Duration duration, Image noise, Progress shown, PrintWriter out) throws Exception {
    BundleInfo bundle = classifier.bundle();
    Set<List<Integer>> budgets = new LinkedHashSet<>(CurveBudgets.of(bundle.stages(), bundle.grid() * bundle.grid()));
    bundle.ladder().stream().map(Rung::keep).forEach(budgets::add);
    Map<List<Integer>, RunOptions> options = new LinkedHashMap<>();
    for (List<Integer> keep : budgets) {
      RunOptions option = RunOptions.defaults().withKeep(Keep.counts(keep.toArray(Integer[]::new)));
      if (reached(keep, classifier.classify(noise, option).kept())) {
        options.put(keep, option);
      }
    }
    int edge = bundle.preprocessing().crop();
    FloatBuffer tensor = floats(3 * edge * edge);
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < tensor.capacity(); i++) {
      tensor.put(i, (float) (2 * random.nextDouble() - 1));
    }
    FloatBuffer logits = floats(bundle.labels().size());
    TokenCurve curve;
    try (Progress progress = shown) {
      curve = TokenCurve.measure(List.copyOf(options.keySet()), duration, keep -> classifier.infer(tensor, options.get(keep), logits), root, progress);
    }
    Map<String, String> machine = Facts.machine(root, Coppice.diagnostics());
    write(bundle, curve, machine);
    out.printf(Locale.ROOT, "%d budgets in %d rounds; %s%n", curve.points().size(), curve.rounds(), file);
    curve.findings().stream().map(Finding::sentence).forEach(sentence -> out.println("Not to be trusted: " + sentence));
    out.flush();
  }

  /** A merge leaves at least half: a budget below is another one by its time. */
  private boolean reached(List<Integer> keep, List<List<Integer>> kept) {
    boolean reached = true;
    for (int stage = 0; stage < keep.size(); stage++) {
      reached = reached && kept.get(stage).size() <= classifier.bundle().prefixTokens() + keep.get(stage);
    }
    return reached;
  }

  private void write(BundleInfo bundle, TokenCurve curve, Map<String, String> machine) throws IOException {
    CurveChart chart = new CurveChart(bundle, curve, machine.get("machine") + ", " + threads + (threads == 1 ? " thread, " : " threads, ") + machine.get("isa"));
    String name = file.getFileName().toString().replaceFirst("\\.json$", "");
    byte[] png = PngPen.drawn(chart);
    String svg = SvgPen.drawn(chart);
    Files.writeString(file, CurveJson.of(bundle, machine, threads, curve));
    Files.write(file.resolveSibling(name + ".png"), png);
    Files.writeString(file.resolveSibling(name + ".svg"), svg);
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(count * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }
}
