package dev.coppice.api;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;

/**
 * Runs images by their deadlines, one at a time, each with as many tokens as the moment allows. Safe for use by many
 * threads.
 */
public interface Scheduler extends AutoCloseable {

  /** What the bundle says about itself; of one that follows a store, the version that serves. */
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
   * A stream of every image that a publisher has, at the pace of one subscriber: images are asked for as results are, {@code
   * atOnce} at a time. Any number of streams share a scheduler.
   *
   * <p>Each image has the request's deadline from its arrival; one that is refused costs a result and is told to {@link
   * MetricsListener#refused}, the stream goes on. It ends with the publisher, or with the failure of a run. The subscriber is
   * called on the scheduler's thread, so it must not block.
   *
   * @param atOnce images of this stream in the scheduler's queue and run together, at least 1
   * @throws IllegalArgumentException if no rung has the least accuracy
   */
  Flow.Processor<Image, Result> stream(Request request, int atOnce);

  /**
   * The same for a camera, which cannot wait: takes every frame at once, keeps the newest, gives the others up as {@code
   * overload.superseded}.
   *
   * @throws IllegalArgumentException if no rung has the least accuracy
   */
  Flow.Processor<Image, Result> newestFrames(Request request);

  /**
   * Fails what waits with {@link IllegalStateException}, waits for the run in progress, ends it after {@link
   * OpenOptions#closeLimit()}, and frees the model. Harmless when repeated.
   */
  @Override
  void close();
}
