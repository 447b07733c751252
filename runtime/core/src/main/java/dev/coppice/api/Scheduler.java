package dev.coppice.api;

import java.util.concurrent.CompletableFuture;

/**
 * Runs images by their deadlines, one at a time, each with as many tokens as the moment allows. Safe for use by many
 * threads.
 */
public interface Scheduler extends AutoCloseable {

  /** What the bundle says about itself. */
  BundleInfo bundle();

  /**
   * Queues an image. Cancelling the future takes it out of the queue, or ends its run.
   *
   * <p>The future fails with {@link DeadlineException} if the image cannot be done in time, before anything is run, with
   * {@link OverloadException} if newer work took its place, and with {@link NativeException} if the run fails.
   *
   * @throws OverloadException if the queue is full
   * @throws DeadlineException if what already waits leaves no time
   * @throws IllegalArgumentException if no rung has the least accuracy
   * @throws IllegalStateException after {@link #close()}
   */
  CompletableFuture<Result> submit(Image image, Request request);

  /**
   * Fails what waits with {@link IllegalStateException}, waits for the run in progress, ends it after {@link
   * OpenOptions#closeLimit()}, and frees the model. Harmless when repeated.
   */
  @Override
  void close();
}
