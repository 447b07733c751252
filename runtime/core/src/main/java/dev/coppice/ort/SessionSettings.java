package dev.coppice.ort;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import dev.coppice.api.EngineOptions;
import dev.coppice.api.EngineOptions.Memory;
import dev.coppice.api.OpenOptions;
import dev.coppice.device.Board;
import dev.coppice.device.ThreadPlan;
import dev.coppice.ops.OperatorLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How the sessions of an engine are made, from what the board has and what the caller wants.
 *
 * @param threads of one run
 * @param low whether memory goes before time
 * @param board as far as it is known: a model that was optimised on another does not fit
 * @param config entries of the session, by key
 */
public record SessionSettings(int threads, boolean low, String board, Map<String, String> config) {

  /** Boards sold with 512 MiB show less, those with 1 GiB show more. */
  private static final long LOW_KIB = 640 << 10;

  private static final Pattern TOTAL = Pattern.compile("MemTotal:\\s+(\\d{1,15}) kB");

  /** Copies the map. */
  public SessionSettings {
    config = Collections.unmodifiableMap(new TreeMap<>(config)); // in order: it is part of a cached model's name
  }

  /**
   * The settings by the files below {@code root}, which is {@code /} on a real board.
   *
   * @throws IllegalArgumentException if the caller's entries hold an unknown key or a wrong value
   */
  public static SessionSettings of(OpenOptions options, Path root) {
    EngineOptions engine = options.engine();
    SessionKeys.require(engine.config());
    boolean low = engine.memory() == Memory.LOW || engine.memory() == Memory.AUTO && totalKib(root) <= LOW_KIB;
    Map<String, String> config = new TreeMap<>();
    config.put("session.intra_op.allow_spinning", engine.spinning() ? "1" : "0");
    ThreadPlan plan = ThreadPlan.probe(root, options.threads());
    if (!plan.workers().isEmpty()) {
      config.put("session.intra_op_thread_affinities", plan.affinities());
    }
    if (low) {
      config.put("session.disable_prepacking", "1");
      config.put("session.use_device_allocator_for_initializers", "1");
    }
    config.putAll(engine.config()); // the caller knows better
    return new SessionSettings(options.threads(), low, Board.probe(root).description(), config);
  }

  /** ONNX Runtime's options, to be closed when the session is made. */
  OrtSession.SessionOptions options(OperatorLibrary library) throws OrtException {
    OrtSession.SessionOptions options = new OrtSession.SessionOptions();
    try {
      options.setIntraOpNumThreads(threads);
      options.setInterOpNumThreads(1);
      options.setCPUArenaAllocator(!low);
      options.setMemoryPatternOptimization(!low);
      for (Map.Entry<String, String> entry : config.entrySet()) {
        options.addConfigEntry(entry.getKey(), entry.getValue());
      }
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      options.registerCustomOpLibrary(library.file().toString());
      return options;
    } catch (OrtException e) {
      options.close();
      throw e;
    }
  }

  private static long totalKib(Path root) {
    try {
      Matcher total = TOTAL.matcher(Files.readString(root.resolve("proc/meminfo")));
      return total.find() ? Long.parseLong(total.group(1)) : Long.MAX_VALUE;
    } catch (IOException unknown) {
      return Long.MAX_VALUE;
    }
  }
}
