package dev.coppice.ort;

import dev.coppice.ops.OperatorLibrary;
import java.util.List;
import org.slf4j.LoggerFactory;

/**
 * Loads the native libraries on threads of their own while a bundle is read: on the first start of all they are unpacked, which takes longer.
 * What fails is told to whoever needs the libraries, as if there were no such threads.
 */
public final class LibraryStart {

  private final List<Step> steps = List.of(new Step(false), new Step(true)); // first what takes longest on the first start

  /** A class and no lambdas, which would keep the libraries waiting for 5 ms in a young JVM. */
  private static final class Step extends Thread {

    private final boolean environment;

    /** Begins. */
    Step(boolean environment) {
      super("coppice-start");
      this.environment = environment;
      setDaemon(true);
      start();
    }

    @Override
    public void run() {
      try {
        if (environment) {
          Environment.get();
        } else {
          OperatorLibrary.unpackRuntime();
        }
      } catch (RuntimeException | LinkageError told) {
        // It is thrown again where the libraries are asked for.
      }
    }
  }

  /**
   * Waits for the end, and logs what was loaded. Who logs first waits until SLF4J is ready, which takes as long as loading a small model: better a
   * thread beside that which loads it.
   */
  public void report() {
    await();
    OperatorLibrary library = OperatorLibrary.load();
    LoggerFactory.getLogger(LibraryStart.class).info("operators run on instruction set {} of {}", library.isa(), library.isas());
  }

  /** Waits for the end: a program that ends because its bundle was refused must not do so in the middle of loading. */
  public void await() {
    boolean interrupted = false;
    for (Step step : steps) {
      while (step.isAlive()) {
        try {
          step.join();
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
