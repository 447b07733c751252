package dev.coppice.bench;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.EngineOptions;
import dev.coppice.api.EngineOptions.Memory;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Time from opening a bundle to the first logits, and resident memory then, beside ONNX Runtime alone: {@code BUNDLE ROUNDS FOLDER}. Each start is
 * a JVM of its own with a heap of 64 MB; the ways take turns. FOLDER is for their caches.
 */
public final class FirstResult {

  private static final List<String> WAYS = List.of("bare", "first-start", "later-start", "kept-model", "low-memory");

  private FirstResult() {}

  public static void main(String[] arguments) throws Exception {
    Path bundle = Path.of(arguments[0]).toAbsolutePath();
    if (arguments.length == 5) {
      start(bundle, arguments[1], Path.of(arguments[2]), arguments[3], Stream.of(arguments[4].split(",")).map(Integer::valueOf).toArray(Integer[]::new));
      return;
    }
    Path folder = Files.createDirectories(Path.of(arguments[2])).toRealPath();
    String keep;
    try (Classifier classifier = Coppice.open(bundle)) {
      String all = String.valueOf(classifier.bundle().grid() * classifier.bundle().grid());
      keep = String.join(",", Collections.nCopies(classifier.bundle().stages(), all));
    }
    Map<String, List<double[]>> found = new LinkedHashMap<>();
    for (int round = -1; round < Integer.parseInt(arguments[1]); round++) { // the first round fills the caches
      for (String way : WAYS) {
        double[] values = child(bundle, way, way.equals("first-start") ? Files.createTempDirectory(folder, "empty") : folder.resolve("kept"), keep);
        if (round >= 0) {
          found.computeIfAbsent(way, key -> new ArrayList<>()).add(values);
        }
      }
    }
    double[] bare = medians(found.get("bare"));
    found.forEach((way, values) -> {
      double[] own = medians(values);
      System.out.printf("%-12s %6.0f ms (x %.2f)   processor %6.0f ms (x %.2f)   resident %6.1f MB (%+.1f)   most %6.1f MB%n", way, own[0], own[0] / bare[0],
          own[1], own[1] / bare[1], own[2], own[2] - bare[2], own[3]);
    });
  }

  /** One start: {@code MS PROCESSOR_MS RSS_MB PEAK_MB}. */
  private static void start(Path bundle, String way, Path caches, String operators, Integer[] keep) throws Exception {
    long begun = System.nanoTime();
    if (way.equals("bare")) {
      Bare.open(bundle.resolve("model.onnx").toString(), operators, List.of(keep)).run();
    } else {
      EngineOptions engine = EngineOptions.defaults().withMemory(way.equals("low-memory") ? Memory.LOW : Memory.NORMAL);
      if (way.equals("kept-model") || way.equals("low-memory")) {
        engine = engine.withModelCache(caches.resolve("models"));
      }
      Classifier classifier = Coppice.open(bundle, OpenOptions.defaults().withThreads(1).withEngine(engine));
      int crop = classifier.bundle().preprocessing().crop();
      classifier.infer(Bare.floats(3L * crop * crop), RunOptions.defaults().withKeep(Keep.counts(keep)),
          Bare.floats(classifier.bundle().labels().size()));
    }
    double millis = (System.nanoTime() - begun) / 1e6;
    String[] processor = Files.readString(Path.of("/proc/self/stat")).split(" ");
    System.out.println(millis + " " + 10 * (Long.parseLong(processor[13]) + Long.parseLong(processor[14])) + " " + status("VmRSS") + " " + status("VmHWM"));
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static double status(String key) throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines.filter(line -> line.startsWith(key + ":")).mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow() / 1024.0;
    }
  }

  private static double[] child(Path bundle, String way, Path caches, String keep) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx64m", "-XX:+UseSerialGC",
        "-Dcoppice.native.dir=" + caches.resolve("libraries"), "-cp", System.getProperty("java.class.path"), FirstResult.class.getName(),
        bundle.toString(), way, caches.toString(), Coppice.diagnostics().facts().get("operators"), keep).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String line = new String(process.getInputStream().readAllBytes()).strip();
    if (process.waitFor() != 0) {
      throw new IllegalStateException(way + " ended with " + process.exitValue());
    }
    return Arrays.stream(line.split(" ")).mapToDouble(Double::parseDouble).toArray();
  }

  private static double[] medians(List<double[]> rows) {
    double[] out = new double[rows.get(0).length];
    for (int column = 0; column < out.length; column++) {
      int at = column;
      out[column] = Overhead.median(rows.stream().mapToDouble(row -> row[at]).toArray());
    }
    return out;
  }
}
