package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.OpenOptions;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;

/** The program of a JVM that exits, code 7, while threads open and run: {@code BUNDLE open|run MICROSECONDS}. */
public final class Exit {

  private Exit() {}

  /** Ends within the work of its threads. */
  public static void main(String[] arguments) throws InterruptedException {
    Path bundle = Path.of(arguments[0]);
    boolean opening = arguments[1].equals("open");
    Image grey = new Image(8, 8, new byte[3 * 8 * 8], 0);
    CountDownLatch begun = new CountDownLatch(2);
    Coppice.diagnostics(); // the natives are loaded: what is wanted is an exit within a session
    for (int i = 0; i < 2; i++) {
      Thread thread = new Thread(() -> {
        Classifier classifier = opening ? null : Coppice.open(bundle, OpenOptions.defaults().withThreads(2));
        begun.countDown();
        while (true) {
          if (opening) {
            Coppice.open(bundle, OpenOptions.defaults().withThreads(2)); // left to the exit
          } else {
            classifier.classify(grey);
          }
        }
      });
      thread.setDaemon(true);
      thread.start();
    }
    begun.await();
    LockSupport.parkNanos(1000L * Integer.parseInt(arguments[2]));
    System.exit(7);
  }
}
