package dev.coppice;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.Diagnostics;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.NativeException;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.FolderStore;
import dev.coppice.bundle.Incoming;
import dev.coppice.bundle.Opening;
import dev.coppice.device.Board;
import dev.coppice.device.BoardProfile;
import dev.coppice.device.Checkup;
import dev.coppice.device.Sensors;
import dev.coppice.engine.Engine;
import dev.coppice.follow.Current;
import dev.coppice.follow.FollowedClassifier;
import dev.coppice.follow.Follower;
import dev.coppice.image.ImageDecoder;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.ort.LibraryStart;
import dev.coppice.ort.OrtEngine;
import dev.coppice.ort.SessionSettings;
import dev.coppice.pipeline.Dispatcher;
import dev.coppice.pipeline.MeasuredPipeline;
import dev.coppice.pipeline.Pipeline;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/**
 * The front door.
 *
 * <pre>{@code
 * try (Classifier classifier = Coppice.open(Path.of("imagenette-mini"))) {
 *   Result result = classifier.classify(Coppice.image(Path.of("ball.jpg")), RunOptions.defaults().withKeep(Keep.ratio(0.5)));
 *   System.out.println(result.labels().get(0));
 * }
 * }</pre>
 */
public final class Coppice {

  private static final Path ROOT = Path.of("/");

  private Coppice() {}

  /** {@link #open(Path, OpenOptions)} with default options. */
  public static Classifier open(Path bundle) {
    return open(bundle, OpenOptions.defaults());
  }

  /**
   * Opens a bundle, a folder or the tar of one: verifies every file and who signed it, loads the operators and the model.
   *
   * @throws dev.coppice.api.BundleException if the bundle is missing, changed, not trusted or needs something newer
   * @throws dev.coppice.api.NativeException if the operator library cannot be loaded, or the model gets no memory
   * @throws IllegalArgumentException if {@link OpenOptions#engine()} has an entry that is not allowed
   */
  public static Classifier open(Path bundle, OpenOptions options) {
    return opened(bundle, options);
  }

  private static Pipeline opened(Path bundle, OpenOptions options) {
    Objects.requireNonNull(options, "options");
    Objects.requireNonNull(bundle, "bundle");
    LibraryStart libraries = new LibraryStart();
    try {
      Opening opening = Opening.of(bundle, options.trust(), libraries::report);
      Engine engine = engine(opening, options);
      try {
        return new Pipeline(opening.bundle(), engine, options);
      } catch (RuntimeException e) {
        engine.close();
        throw e;
      }
    } finally {
      libraries.await();
    }
  }

  /**
   * Opens a bundle for work with deadlines, and measures its rungs on this machine.
   *
   * @throws dev.coppice.api.BundleException if the bundle is missing, changed, not trusted or needs something newer
   * @throws dev.coppice.api.NativeException if the operator library cannot be loaded, or the model gets no memory
   * @throws IllegalArgumentException if {@link OpenOptions#engine()} has an entry that is not allowed
   */
  public static Scheduler schedule(Path bundle, OpenOptions options, SchedulerOptions schedulerOptions) {
    Objects.requireNonNull(schedulerOptions, "schedulerOptions");
    return scheduler(measured(opened(bundle, options), schedulerOptions), schedulerOptions);
  }

  /**
   * A scheduler that is always of the version that is current in a store, like {@link #follow}: a new version runs its golden
   * cases and is measured while the one before it serves, then takes over between two runs. What waits in the queue stays there;
   * a run that fails with a version on probation is done over by the version before, if its deadline leaves time.
   *
   * @throws dev.coppice.api.BundleException if neither the current version nor the one before it can be used
   * @throws dev.coppice.api.NativeException if the operator library cannot be loaded, or the store not be read
   */
  public static Scheduler schedule(BundleStore store, String name, FollowOptions options, SchedulerOptions schedulerOptions) {
    Objects.requireNonNull(schedulerOptions, "schedulerOptions");
    return scheduler(follower(store, name, options, pipeline -> measured(pipeline, schedulerOptions)), schedulerOptions);
  }

  private static Scheduler scheduler(Current<MeasuredPipeline> current, SchedulerOptions options) {
    return new Dispatcher(current, new Sensors(ROOT), options);
  }

  private static MeasuredPipeline measured(Pipeline pipeline, SchedulerOptions options) {
    double throttle = options.throttleCelsius();
    if (Double.isNaN(throttle)) {
      throttle = BoardProfile.of(Board.probe(ROOT)).map(profile -> profile.throttleCelsius().orElse(Double.NaN)).orElse(Double.NaN);
    }
    return new MeasuredPipeline(pipeline, options, throttle);
  }

  /**
   * Verifies a bundle without running it: every file, and who signed it.
   *
   * @throws dev.coppice.api.BundleException if the bundle is missing, changed, not trusted or needs something newer
   */
  public static BundleInfo verify(Path bundle, Trust trust) {
    return Bundle.read(Objects.requireNonNull(bundle, "bundle"), Objects.requireNonNull(trust, "trust")).info();
  }

  /** The installed bundles in this folder, with default options. */
  public static BundleStore store(Path folder) {
    return store(folder, OpenOptions.defaults());
  }

  /**
   * The installed bundles in this folder, which is made when the first one is installed. The options say whose bundles may be
   * installed, and open a bundle for its golden cases.
   */
  public static BundleStore store(Path folder, OpenOptions options) {
    Objects.requireNonNull(options, "options");
    return new FolderStore(Objects.requireNonNull(folder, "folder"), options.trust(), bundle -> tested(bundle, options).close());
  }

  /**
   * A classifier that is always of the version that is current in a store: a new one is opened and runs its golden cases
   * before it serves, runs in progress end with the version they began with, and a version whose test or first runs fail is
   * left again, here and in the store.
   *
   * @throws dev.coppice.api.BundleException if neither the current version nor the one before it can be used
   * @throws dev.coppice.api.NativeException if the operator library cannot be loaded, or the store not be read
   */
  public static Classifier follow(BundleStore store, String name, FollowOptions options) {
    return new FollowedClassifier(follower(store, name, options, pipeline -> pipeline));
  }

  private static <T extends AutoCloseable> Follower<T> follower(BundleStore store, String name, FollowOptions options, Function<Pipeline, T> prepare) {
    Objects.requireNonNull(store, "store");
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(options, "options");
    Runnable incoming = options.incoming().<Runnable>map(folder -> new Incoming(folder, store)::take).orElse(() -> { });
    return new Follower<>(store, name, options, incoming, folder -> prepare.apply(tested(folder, options.open())));
  }

  private static Pipeline tested(Path bundle, OpenOptions options) {
    Pipeline pipeline = opened(bundle, options);
    try {
      pipeline.selfTest();
      return pipeline;
    } catch (RuntimeException e) {
      pipeline.close();
      throw e;
    }
  }

  private static Engine engine(Opening bundle, OpenOptions options) {
    SessionSettings settings = SessionSettings.of(options, ROOT);
    return new OrtEngine(bundle.graph(), bundle.model(), bundle.preprocessing(), OperatorLibrary.load(), settings, options.engine().modelCache());
  }

  /**
   * Reads a JPEG or PNG file.
   *
   * @throws dev.coppice.api.ImageException if it is missing, damaged, too large or of another format
   */
  public static Image image(Path file) {
    return ImageDecoder.read(Objects.requireNonNull(file, "file"));
  }

  /**
   * Decodes the bytes of a JPEG or PNG file.
   *
   * @throws dev.coppice.api.ImageException if they are damaged, too large or of another format
   */
  public static Image image(byte[] bytes) {
    return ImageDecoder.decode(Objects.requireNonNull(bytes, "bytes"));
  }

  /**
   * What a bug report needs to know of this machine, and what is wrong with it. Where the operator library or ONNX Runtime
   * cannot be loaded, that is a finding and the facts that they would tell are missing.
   */
  public static Diagnostics diagnostics() {
    Map<String, String> facts = new LinkedHashMap<>();
    List<Diagnostics.Finding> findings = new ArrayList<>();
    facts.put("coppice", Bundle.RUNTIME_VERSION);
    facts.put("java", System.getProperty("java.version") + " (" + System.getProperty("java.vendor") + ", " + System.getProperty("java.vm.name") + ")");
    facts.put("heap", Runtime.getRuntime().maxMemory() / (1 << 20) + " MiB at most");
    facts.put("platform", System.getProperty("os.name") + " " + System.getProperty("os.version") + ", " + System.getProperty("os.arch"));
    try {
      OperatorLibrary library = OperatorLibrary.load();
      facts.put("glibc", library.glibc());
      facts.put("operators", library.file().toString());
      facts.put("operators sha256", library.sha256());
      facts.put("isa", library.isa());
      facts.put("isas", String.join(", ", library.isas()));
      facts.put("onnx runtime", OrtEngine.version());
    } catch (NativeException refused) {
      findings.add(new Diagnostics.Finding(refused.code(), refused.getMessage()));
    }
    boolean unpacks = System.getProperty("onnxruntime.native.path") == null && System.getProperty("onnxruntime.native.onnxruntime.path") == null;
    Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
    Checkup checkup = new Checkup(ROOT, OpenOptions.defaults().threads(), unpacks ? Optional.of(temporary) : Optional.empty());
    facts.putAll(checkup.facts());
    findings.addAll(checkup.findings());
    return new Diagnostics(facts, findings);
  }
}
