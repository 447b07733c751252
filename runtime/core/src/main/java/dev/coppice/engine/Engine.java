package dev.coppice.engine;

import dev.coppice.tensor.FloatTensor;
import dev.coppice.tensor.LongTensor;
import java.util.List;

/**
 * One loaded model with fixed buffers. Not safe for use by two threads at once; its owner takes turns.
 *
 * <p>A run reads {@link #image()} and its result stays valid until the next run.
 */
public interface Engine extends AutoCloseable {

  /** The input, to be filled before a run. */
  FloatTensor image();

  /** Runs the model with these patch tokens kept at each stage. */
  Output run(List<Integer> keep);

  /**
   * Ends the run in progress, which then throws a {@link dev.coppice.api.NativeException}. Any thread may call it, as long
   * as the engine is open. Between two runs it has no effect.
   */
  void terminate();

  @Override
  void close();

  /**
   * What a run leaves behind.
   *
   * @param logits one value a class
   * @param kept positions that survived each stage
   */
  record Output(FloatTensor logits, List<LongTensor> kept) {}
}
