package dev.coppice.follow;

import java.util.function.Function;

/**
 * What serves at the moment, where that may change while it is used. Safe for use by many threads.
 *
 * @param <T> what runs
 */
public interface Current<T> extends AutoCloseable {

  /**
   * Runs with what serves now, which stays open until the run has ended. If that fails and something else serves by then, it
   * runs again, with that.
   *
   * @throws IllegalStateException after {@link #close()}
   */
  <R> R run(Function<T, R> run);

  /** What serves, to ask what it is; it may be closed by the time that it is asked to run. */
  T last();

  @Override
  void close();
}
