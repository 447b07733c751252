package dev.coppice.ort;

import dev.coppice.ops.OperatorLibrary;
import java.util.List;
import org.slf4j.LoggerFactory;

/**
 * Loads the native libraries on threads of their own while a bundle is read: on the first start of all they are unpacked, which takes longer.
 * What fails is told to whoever needs the libraries, as if there were no such threads.
 */
public final class LibraryStart {

  private final List<Thread> threads = List.of(begin(OrtEngine::environment), begin(OperatorLibrary::unpackRuntime));

  /** Begins. */
  public LibraryStart() {
    // Where it takes time from nobody: none of the threads logs, and SLF4J complains if a second one does while the first makes it ready.
    LoggerFactory.getILoggerFactory();
  }

  private static Thread begin(Runnable step) {
    Thread thread = new Thread(() -> {
      try {
        step.run();
      } catch (RuntimeException | LinkageError told) {
        // It is thrown again where the libraries are asked for.
      }
    }, "coppice-start");
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** Waits for the end: a program that ends because its bundle was refused must not do so in the middle of loading. */
  public void await() {
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException later) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
