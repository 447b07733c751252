package dev.coppice.engine;

import dev.coppice.api.Image;
import dev.coppice.tensor.FloatTensor;
import dev.coppice.tensor.LongTensor;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * One loaded model with fixed buffers. Not safe for use by two threads at once; its owner takes turns.
 *
 * <p>A run reads {@link #image()} and its result stays valid until the next run.
 */
public interface Engine extends AutoCloseable {

  /** The input, to be filled before a run. */
  FloatTensor image();

  /** Fills {@link #image()} with a picture: resized, cropped and normalised as in training. */
  void load(Image picture);

  /** Runs the model with these patch tokens kept at each stage. */
  Output run(List<Integer> keep);

  /**
   * The same from and to the caller's buffers, from their positions on, which do not move. Direct buffers in the processor's byte order are
   * used in place; the last of each is remembered, so that a caller who keeps to them pays nothing for it.
   */
  void run(FloatBuffer tensor, List<Integer> keep, FloatBuffer logits);

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
