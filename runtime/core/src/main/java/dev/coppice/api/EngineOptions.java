package dev.coppice.api;

import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * How ONNX Runtime is set up; docs/reference/options.md tells what each choice costs.
 *
 * @param memory whether to save memory at the price of time
 * @param spinning whether the threads of a run stay awake for a while after it: faster follow-up runs, at the price of power and of the other
 *     programs of the board
 * @param modelCache folder of one's own for optimised models, made if missing, so that the next start need not optimise; empty: none are kept
 * @param config ONNX Runtime's session entries by key, of those in docs/reference/options.md
 */
public record EngineOptions(Memory memory, boolean spinning, Optional<Path> modelCache, Map<String, String> config) {

  /** Whether to save memory. */
  public enum Memory {
    /** Low where the machine has at most 640 MiB, otherwise normal. */
    AUTO,
    /** Packed copies of the weights, and memory kept from run to run. */
    NORMAL,
    /** Neither: the least memory, and slower runs. */
    LOW
  }

  private static final EngineOptions DEFAULTS = new EngineOptions(Memory.AUTO, false, Optional.empty(), Map.of());

  /** Copies the map. */
  public EngineOptions {
    Objects.requireNonNull(memory, "memory");
    Objects.requireNonNull(modelCache, "modelCache");
    config = Map.copyOf(Objects.requireNonNull(config, "config"));
  }

  /** Memory by the machine, threads that sleep between runs, no cache, no further entries. */
  public static EngineOptions defaults() {
    return DEFAULTS;
  }

  /** The same with another use of memory. */
  public EngineOptions withMemory(Memory newMemory) {
    return new EngineOptions(newMemory, spinning, modelCache, config);
  }

  /** The same with threads that stay awake, or not. */
  public EngineOptions withSpinning(boolean newSpinning) {
    return new EngineOptions(memory, newSpinning, modelCache, config);
  }

  /** The same with a folder for optimised models. */
  public EngineOptions withModelCache(Path folder) {
    return new EngineOptions(memory, spinning, Optional.of(Objects.requireNonNull(folder, "folder")), config);
  }

  /** The same with other session entries. */
  public EngineOptions withConfig(Map<String, String> newConfig) {
    return new EngineOptions(memory, spinning, modelCache, newConfig);
  }
}
