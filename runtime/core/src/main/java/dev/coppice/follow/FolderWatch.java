package dev.coppice.follow;

import java.io.IOException;
import java.nio.file.ClosedWatchServiceException;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Waits for changes in folders where the file system tells of them, and for time elsewhere: inotify overflows and knows no network. */
final class FolderWatch implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(FolderWatch.class);

  private final CountDownLatch closed = new CountDownLatch(1);
  private WatchService service; // null where there is none

  FolderWatch(List<Path> folders) {
    try {
      service = folders.get(0).getFileSystem().newWatchService();
      for (Path folder : folders) {
        folder.register(service, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY, StandardWatchEventKinds.ENTRY_DELETE);
      }
    } catch (IOException | UnsupportedOperationException e) {
      LOG.info("the file system does not tell of changes ({}); it is asked from time to time", e.toString());
    }
  }

  /** Returns after a change, this time or the end. */
  void await(Duration most) throws InterruptedException {
    if (service == null) {
      closed.await(most.toNanos(), TimeUnit.NANOSECONDS);
      return;
    }
    try {
      WatchKey key = service.poll(most.toNanos(), TimeUnit.NANOSECONDS);
      if (key != null) {
        key.pollEvents();
        key.reset();
      }
    } catch (ClosedWatchServiceException end) {
      // nobody waits any more
    }
  }

  @Override
  public void close() throws IOException {
    closed.countDown();
    if (service != null) {
      service.close();
    }
  }
}
