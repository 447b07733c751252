package dev.coppice.follow;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleStore;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.NativeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the version that serves the one that is current in the store. A version that fails its test or its first runs is
 * left, in the store too.
 *
 * @param <T> what is open of a version
 */
public final class Follower<T extends AutoCloseable> implements Current<T> {

  private static final Logger LOG = LoggerFactory.getLogger(Follower.class);
  private static final Duration SWEEP = Duration.ofMillis(250);

  private final BundleStore store;
  private final String name;
  private final FollowOptions options;
  private final Runnable incoming;
  private final Function<Path, T> open;
  private final Versions<T> versions;
  private final FolderWatch watch;
  private final Thread thread;
  private volatile boolean closing;
  private CoppiceException lastRefusal;
  private Path left; // what was last gone back from; null if nothing was

  /**
   * Opens the current version, or the one before it, and begins to follow.
   *
   * @param incoming installs what has been copied to the incoming folder, if there is one
   * @param open opens a version and tests it
   * @throws CoppiceException if neither version can be opened
   */
  public Follower(BundleStore store, String name, FollowOptions options, Runnable incoming, Function<Path, T> open) {
    this.store = store;
    this.name = name;
    this.options = options;
    this.incoming = incoming;
    this.open = open;
    this.versions = new Versions<>(name, options.probation());
    try {
      step();
      if (versions.folder().isEmpty()) {
        step(); // by now the version before it is current
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw unexpected(e);
    }
    if (versions.folder().isEmpty()) {
      throw lastRefusal;
    }
    List<Path> folders = new ArrayList<>(List.of(store.current(name).getParent()));
    options.incoming().ifPresent(folders::add);
    this.watch = new FolderWatch(folders);
    this.thread = new Thread(this::follow, "coppice-follow-" + name);
    thread.setDaemon(true); // a service that forgets to close still ends
    thread.start();
  }

  @Override
  public <R> R run(Function<T, R> run) {
    while (true) {
      Versions.Version<T> version = versions.lease();
      try {
        R result = run.apply(version.opened());
        versions.passed(version);
        return result;
      } catch (NativeException e) {
        if (!versions.failed(version)) {
          throw e;
        }
        LOG.warn("bundle {}: a run with {} is done over by the version before: {}", name, version.folder().getFileName(), e.getMessage());
      } finally {
        versions.release(version);
      }
    }
  }

  @Override
  public T last() {
    return versions.last();
  }

  private void follow() {
    try {
      while (!closing) {
        watch.await(versions.isSettled() || options.poll().compareTo(SWEEP) < 0 ? options.poll() : SWEEP);
        try {
          versions.sweep();
          if (!closing) {
            step();
            restore();
          }
        } catch (Exception e) { // whatever it is, what serves goes on
          LOG.error("bundle {} cannot be followed at present", name, e);
        }
      }
    } catch (InterruptedException nobodyInterruptsThisThread) {
      Thread.currentThread().interrupt();
    }
  }

  private void step() throws Exception {
    incoming.run();
    Path now;
    try {
      now = store.current(name).toRealPath();
    } catch (BundleException none) {
      lastRefusal = none;
      return;
    } catch (IOException e) { // the link was set anew meanwhile, or its version is gone
      lastRefusal = new BundleException("missing", "Bundle \"" + name + "\": the current version cannot be read (" + e + "); install it again.", e);
      return;
    }
    if (versions.folder().filter(now::equals).isPresent()) {
      return;
    }
    if (versions.isRefused(now)) {
      goBack(now);
      return;
    }
    if (!options.overlap()) {
      versions.withdraw();
      versions.drain();
    }
    try {
      versions.put(now, open.apply(now));
      LOG.info("bundle {}: {} serves", name, now.getFileName());
    } catch (CoppiceException e) {
      LOG.warn("bundle {}: {} is not used: {}", name, now.getFileName(), e.getMessage());
      lastRefusal = e;
      versions.refuse(now);
      goBack(now);
    }
  }

  /** Opens again what was closed for a version that is refused. */
  private void restore() throws Exception {
    Optional<Path> before = versions.withdrawn();
    if (before.isEmpty()) {
      return;
    }
    versions.drain();
    try {
      versions.restore(open.apply(before.get()));
      LOG.info("bundle {}: {} serves again", name, before.get().getFileName());
    } catch (CoppiceException e) {
      LOG.error("bundle {}: nothing serves: {}", name, e.getMessage());
      versions.fail(e);
    }
  }

  /** Makes the version before a refused one current again, once. */
  private void goBack(Path refused) {
    if (refused.equals(left)) {
      return;
    }
    left = refused;
    try {
      LOG.warn("bundle {}: back to {}", name, store.rollback(name).folder().getFileName());
    } catch (CoppiceException e) {
      LOG.warn("bundle {}: {} stays current in the store, and is not used: {}", name, refused.getFileName(), e.getMessage());
    }
  }

  @Override
  public void close() {
    closing = true;
    versions.shut();
    boolean interrupted = false;
    try {
      watch.close();
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException later) {
          interrupted = true;
        }
      }
      versions.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw unexpected(e);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static IllegalStateException unexpected(Exception e) {
    return new IllegalStateException("classifiers and schedulers close without checked exceptions", e);
  }
}
