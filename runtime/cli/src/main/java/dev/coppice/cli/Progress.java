package dev.coppice.cli;

import java.io.PrintWriter;
import java.util.function.LongConsumer;

/** One line on standard error that rewrites itself on a terminal, and goes away in the end; nothing in a pipe. */
final class Progress implements LongConsumer, AutoCloseable {

  private static final long BETWEEN = 200_000_000;
  private static final String CLEARED = "\r\033[K";

  private final PrintWriter err;
  private final String what;
  private final boolean terminal = System.console() != null;
  private long last;

  Progress(PrintWriter err, String what) {
    this.err = err;
    this.what = what;
    last = System.nanoTime();
  }

  @Override
  public void accept(long count) {
    long now = System.nanoTime();
    if (terminal && now - last > BETWEEN) {
      last = now;
      show(CLEARED + count + " " + what);
    }
  }

  @Override
  public void close() {
    if (terminal) {
      show(CLEARED);
    }
  }

  private void show(String text) {
    err.print(text);
    err.flush();
  }
}
