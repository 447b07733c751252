package dev.coppice.ort;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.ops.PrivateFolder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes sessions of one engine: from a graph, or from the optimised form of it that a cache holds. */
final class ModelLoader {

  private static final Logger LOG = LoggerFactory.getLogger(ModelLoader.class);

  private final OrtEnvironment environment;
  private final OperatorLibrary library;
  private final SessionSettings settings;

  /**
   * A session, and the memory it reads its weights from if that is not its own: to be kept reachable as long as the session is open.
   *
   * @param session open
   * @param weights of a cached model, mapped
   */
  record Loaded(OrtSession session, Optional<ByteBuffer> weights) {}

  ModelLoader(OrtEnvironment environment, OperatorLibrary library, SessionSettings settings) {
    this.environment = environment;
    this.library = library;
    this.settings = settings;
  }

  /** A session of a graph as it is. */
  OrtSession session(byte[] graph) throws OrtException {
    try (OrtSession.SessionOptions options = settings.options(library)) {
      return create(graph, options);
    }
  }

  /**
   * One at a time in the whole JVM: the first session with our operators adds their domain to a table of the process, and of two at
   * once ONNX Runtime refuses one.
   */
  private OrtSession create(byte[] graph, OrtSession.SessionOptions options) throws OrtException {
    synchronized (ModelLoader.class) {
      return environment.createSession(graph, options);
    }
  }

  /** A session of the graph with this hash, by way of the cache in this folder if there is one. */
  Loaded load(String name, byte[] graph, String sha256, Optional<Path> folder) throws OrtException {
    Optional<ModelCache> cache = folder.flatMap(f -> ModelCache.at(f, key(name, sha256)));
    Optional<ByteBuffer> kept = cache.flatMap(ModelCache::find);
    if (kept.isPresent()) {
      try {
        return new Loaded(optimised(kept.get()), kept);
      } catch (OrtException e) {
        LOG.warn("ONNX Runtime refuses the optimised model of bundle {} ({}); it is made again", name, e.getMessage());
      }
    }
    Optional<Path> part = cache.flatMap(ModelCache::part);
    if (part.isPresent()) {
      try {
        OrtSession session = optimising(graph, part.get());
        cache.get().keep(part.get());
        return new Loaded(session, Optional.empty());
      } catch (OrtException e) { // no room to write, or a model that is none: the next line tells
        LOG.warn("the optimised model of bundle {} cannot be written ({})", name, e.getMessage());
      } finally {
        cache.get().drop(part.get());
      }
    }
    return new Loaded(session(graph), Optional.empty());
  }

  private OrtSession optimised(ByteBuffer kept) throws OrtException {
    try (OrtSession.SessionOptions options = settings.options(library)) {
      options.addConfigEntry("session.use_ort_model_bytes_directly", "1");
      options.addConfigEntry("session.use_ort_model_bytes_for_initializers", "1");
      synchronized (ModelLoader.class) { // as create does
        return environment.createSession(kept, options);
      }
    }
  }

  private OrtSession optimising(byte[] graph, Path part) throws OrtException {
    try (OrtSession.SessionOptions options = settings.options(library)) {
      options.addConfigEntry("session.save_model_format", "ORT");
      options.setOptimizedModelFilePath(part.toString());
      return create(graph, options);
    }
  }

  /** Whatever the optimised form depends on; another value is another file. */
  private String key(String name, String sha256) {
    List<String> parts = List.of(sha256, environment.getVersion(), library.sha256(), library.isa(), settings.board(), settings.config().toString(),
        String.valueOf(settings.low()));
    return name + "-" + PrivateFolder.sha256(String.join("\n", parts).getBytes(StandardCharsets.UTF_8)).substring(0, 16);
  }
}
