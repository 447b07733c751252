package dev.coppice.ort;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.ops.NativeMemory;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.tensor.Graph;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes sessions of one engine: from a graph, or from the optimised form of it that a cache holds. A graph whose optimised form is there is not
 * read: the cache's key holds the hash that it must have, and had when that form was made.
 */
final class ModelLoader implements PictureInput.Sessions {

  private final OperatorLibrary library;
  private final SessionSettings settings;

  /**
   * A session, and the memory it reads its weights from if that is not its own: to be kept reachable as long as the session is open.
   *
   * @param session open
   * @param weights of a cached model, mapped
   */
  record Loaded(OrtSession session, Optional<MappedByteBuffer> weights) {}

  ModelLoader(OperatorLibrary library, SessionSettings settings) {
    this.library = library;
    this.settings = settings;
  }

  /** A session of a graph as it is. */
  @Override
  public OrtSession make(ByteBuffer graph) throws OrtException {
    OrtEnvironment environment = Environment.get();
    try (OrtSession.SessionOptions options = settings.options(library)) {
      return create(environment, graph, options);
    }
  }

  private OrtSession session(Graph graph) throws OrtException {
    try (NativeMemory memory = new NativeMemory(graph.bytes())) {
      graph.read(memory.bytes()); // before it asks for the environment, which may still be on its way
      return make(memory.bytes().flip());
    }
  }

  /**
   * One at a time in the whole JVM: the first session with our operators adds their domain to a table of the process, and of two at
   * once ONNX Runtime refuses one.
   */
  private static OrtSession create(OrtEnvironment environment, ByteBuffer graph, OrtSession.SessionOptions options) throws OrtException {
    synchronized (ModelLoader.class) {
      return environment.createSession(graph, options);
    }
  }

  /** A session of the graph, by way of the cache in this folder if there is one. */
  Loaded load(String name, Graph graph, Optional<Path> folder) throws OrtException {
    Loaded loaded = cached(name, graph, folder);
    if (loaded.weights().isPresent()) {
      NativeMemory.forget(loaded.weights().get()); // what a run needs of it comes back
    }
    NativeMemory.trim();
    return loaded;
  }

  private Loaded cached(String name, Graph graph, Optional<Path> folder) throws OrtException {
    Optional<ModelCache> cache = folder.isPresent() ? ModelCache.at(folder.get(), name, () -> dependencies(graph.sha256())) : Optional.empty();
    if (cache.isEmpty()) {
      return new Loaded(session(graph), Optional.empty());
    }
    Optional<MappedByteBuffer> kept = cache.get().find();
    if (kept.isPresent()) {
      try {
        return new Loaded(optimised(kept.get()), kept);
      } catch (OrtException e) {
        log().warn("ONNX Runtime refuses the optimised model of bundle {} ({}); it is made again", name, e.getMessage());
      }
    }
    Optional<Path> part = cache.get().part();
    if (part.isPresent()) {
      try {
        OrtSession session = optimising(graph, part.get());
        cache.get().keep(part.get());
        return new Loaded(session, Optional.empty());
      } catch (OrtException e) { // no room to write, or a model that is none: the next line tells
        log().warn("the optimised model of bundle {} cannot be written ({})", name, e.getMessage());
      } finally {
        cache.get().drop(part.get());
      }
    }
    return new Loaded(session(graph), Optional.empty());
  }

  private static Logger log() {
    return LoggerFactory.getLogger(ModelLoader.class);
  }

  private OrtSession optimised(ByteBuffer kept) throws OrtException {
    OrtEnvironment environment = Environment.get();
    try (OrtSession.SessionOptions options = settings.options(library)) {
      options.addConfigEntry("session.use_ort_model_bytes_directly", "1");
      if (settings.low()) { // else weights are packed anew: the few that are not would hold the whole file in memory, 64 KiB around each
        options.addConfigEntry("session.use_ort_model_bytes_for_initializers", "1");
      }
      return create(environment, kept, options);
    }
  }

  private OrtSession optimising(Graph graph, Path part) throws OrtException {
    OrtEnvironment environment = Environment.get();
    try (NativeMemory memory = new NativeMemory(graph.bytes()); OrtSession.SessionOptions options = settings.options(library)) {
      graph.read(memory.bytes());
      options.addConfigEntry("session.save_model_format", "ORT");
      options.setOptimizedModelFilePath(part.toString());
      return create(environment, memory.bytes().flip(), options);
    }
  }

  /** Whatever the optimised form depends on; another value is another file. */
  private List<String> dependencies(String sha256) throws IOException {
    return List.of(sha256, Environment.build(), library.build(), library.isa(), settings.board(), settings.config().toString(), String.valueOf(settings.low()));
  }
}
