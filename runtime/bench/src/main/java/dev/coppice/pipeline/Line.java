package dev.coppice.pipeline;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.Label;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.engine.Engine;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.ort.OrtEngine;
import dev.coppice.ort.SessionSettings;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Every arrow of the line from image bytes to a result, one thread: {@code make bench-jmh}. In the room of the pipeline
 * because it alone sees the ranking.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 3, jvmArgs = {"-XX:+UseSerialGC", "-Xmx256m"})
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class Line {

  /** A bundle's folder; {@code -p bundle=...} names others. */
  @Param("export/bundles/imagenette-mini")
  public String bundle;

  /** JPEG. */
  @Param("docs/images/golf-ball.jpg")
  public String picture;

  private byte[] bytes;
  private Image image;
  private Engine engine;
  private List<Integer> keep;
  private FloatBuffer tensor;
  private FloatBuffer logits;
  private List<String> labels;
  private Classifier classifier;
  private RunOptions options;

  /** Opens the bundle twice: as its users do, and its engine alone. */
  @Setup(Level.Trial)
  public void open() throws IOException {
    bytes = Files.readAllBytes(Path.of(picture));
    image = Coppice.image(bytes);
    OpenOptions open = OpenOptions.defaults().withThreads(1);
    classifier = Coppice.open(Path.of(bundle), open);
    Bundle read = Bundle.read(Path.of(bundle), Trust.off());
    engine = new OrtEngine(read.graph(), read.model(), read.info().preprocessing(), OperatorLibrary.load(), SessionSettings.of(open, Path.of("/")),
        Optional.empty());
    keep = read.budget(Optional.empty()).keep();
    labels = read.info().labels();
    engine.load(image);
    tensor = engine.image().data();
    logits = engine.run(keep).logits().data();
    options = RunOptions.defaults().withKeep(Keep.counts(keep.toArray(Integer[]::new)));
  }

  /** Frees both. */
  @TearDown(Level.Trial)
  public void close() {
    engine.close();
    classifier.close();
  }

  /** Two milliseconds of nothing: what it allocates is JMH's own share in the others of about this length. */
  @Benchmark
  public void nothing() {
    LockSupport.parkNanos(2_000_000);
  }

  /** Image bytes to {@code Image}. */
  @Benchmark
  public Image decode() {
    return Coppice.image(bytes);
  }

  /** {@code Image} to {@code Tensor}. */
  @Benchmark
  public FloatBuffer preprocess() {
    engine.load(image);
    return tensor;
  }

  /** {@code Tensor} to logits, by {@code run(keep)}, with the positions of the kept tokens. */
  @Benchmark
  public Engine.Output run() {
    return engine.run(keep);
  }

  /** The same from and to a caller's buffers, without the positions. */
  @Benchmark
  public FloatBuffer infer() {
    classifier.infer(tensor, options, logits);
    return logits;
  }

  /** Logits to ranked labels. */
  @Benchmark
  public List<Label> rank() {
    return Ranking.top(logits, labels, 5);
  }

  /** {@code Image} to {@code Result}: preprocessing, run, ranking and what holds them together. */
  @Benchmark
  public Result classify() {
    return classifier.classify(image, options);
  }

  /** Image bytes to {@code Result}: the whole line. */
  @Benchmark
  public Result line() {
    return classifier.classify(Coppice.image(bytes), options);
  }
}
