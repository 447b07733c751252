package dev.coppice.ort;

import org.slf4j.LoggerFactory;

/**
 * Loads the native libraries on a thread of its own while a bundle is read: on the first start of all they are unpacked, which takes longer.
 * What fails is told to whoever needs the libraries, as if there were no such thread.
 */
public final class LibraryStart {

  private final Thread thread = new Thread(LibraryStart::load, "coppice-start");

  /** Begins. */
  public LibraryStart() {
    LoggerFactory.getILoggerFactory(); // SLF4J complains if a second thread logs while the first makes it ready
    thread.setDaemon(true);
    thread.start();
  }

  private static void load() {
    try {
      OrtEngine.environment();
    } catch (RuntimeException | LinkageError told) {
      // It is thrown again where the libraries are asked for.
    }
  }

  /** Waits for the end: a program that ends because its bundle was refused must not do so in the middle of loading. */
  public void await() {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException later) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
