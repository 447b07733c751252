package dev.coppice.follow;

import dev.coppice.api.CoppiceException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * The open version that serves, and the one before it while the new one is on probation. Whoever uses a version holds a
 * lease; a version that is given up is closed when its last lease ends, so that no request ever meets a closed model. Where
 * only one may be open, requests wait from the last lease of the one to the first of the other.
 *
 * @param <T> what is open of a version
 */
final class Versions<T extends AutoCloseable> {

  /** One open version. */
  static final class Version<T> {
    private final Path folder;
    private final T opened;
    private int leases; // guarded by the versions
    private boolean withdrawn; // guarded by the versions; closed, or about to be

    private Version(Path folder, T opened) {
      this.folder = folder;
      this.opened = opened;
    }

    Path folder() {
      return folder;
    }

    T opened() {
      return opened;
    }
  }

  private final String name;
  private final int probation;
  private final List<Version<T>> givenUp = new ArrayList<>();
  private final Set<Path> refused = new HashSet<>();
  private Version<T> current;
  private Version<T> previous; // null once the current one has proved itself
  private int runsLeft;
  private CoppiceException nothing; // why nothing will serve for a while; null if something does, or soon will
  private boolean closed;

  Versions(String name, int probation) {
    this.name = name;
    this.probation = probation;
  }

  /** The version that serves, until it is released; waits for one that is being opened. */
  synchronized Version<T> lease() {
    await(() -> !current.withdrawn || nothing != null);
    if (closed) {
      throw new IllegalStateException("What follows bundle \"" + name + "\" is closed.");
    }
    if (current.withdrawn) {
      throw nothing;
    }
    current.leases++;
    return current;
  }

  synchronized void release(Version<T> version) {
    version.leases--;
    notifyAll();
  }

  /** Until the condition holds, or all is closed. */
  private void await(BooleanSupplier condition) {
    boolean interrupted = false;
    while (!closed && !condition.getAsBoolean()) {
      try {
        wait();
      } catch (InterruptedException later) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** A run went well. */
  synchronized void passed(Version<T> version) {
    if (version == current && previous != null && --runsLeft <= 0) {
      givenUp.add(previous);
      previous = null;
    }
  }

  /** A run failed; whether another version serves now. */
  synchronized boolean failed(Version<T> version) {
    if (version == current && previous != null && !closed) {
      refused.add(current.folder);
      givenUp.add(current);
      current = previous;
      previous = null;
    }
    return version != current && !closed;
  }

  /** Lets a new version serve. */
  synchronized void put(Path folder, T opened) {
    if (previous != null) {
      givenUp.add(previous);
    }
    previous = current;
    current = new Version<>(folder, opened);
    runsLeft = probation;
    nothing = null;
    notifyAll();
    if (probation == 0 && previous != null) {
      givenUp.add(previous);
      previous = null;
    }
  }

  /** Closes the version that serves, once its runs have ended; until another is there requests wait. */
  void withdraw() throws Exception {
    synchronized (this) {
      if (current == null || current.withdrawn) {
        return;
      }
      current.withdrawn = true;
      await(() -> current.leases == 0);
      if (closed) {
        return;
      }
    }
    current.opened.close();
  }

  /** Where the version is that was withdrawn and must come back, as nothing took its place. */
  synchronized Optional<Path> withdrawn() {
    return Optional.ofNullable(current).filter(version -> version.withdrawn).map(version -> version.folder);
  }

  /** Lets the version that was withdrawn serve again. */
  synchronized void restore(T opened) {
    current = new Version<>(current.folder, opened);
    nothing = null;
    notifyAll();
  }

  /** Requests fail with this reason, until something serves again. */
  synchronized void fail(CoppiceException reason) {
    nothing = reason;
    notifyAll();
  }

  /** A version that must not serve, for as long as this process lives. */
  synchronized void refuse(Path folder) {
    refused.add(folder);
  }

  synchronized boolean isRefused(Path folder) {
    return refused.contains(folder);
  }

  /** What serves, without a lease. */
  synchronized T last() {
    return current.opened;
  }

  /** Where the version that serves is. */
  synchronized Optional<Path> folder() {
    return Optional.ofNullable(current).map(version -> version.folder);
  }

  /** Whether somebody may soon have to sweep. */
  synchronized boolean isSettled() {
    return previous == null && givenUp.isEmpty() && (current == null || !current.withdrawn || nothing != null);
  }

  /** Closes what was given up, once it is not in use any more. */
  void drain() throws Exception {
    synchronized (this) {
      await(() -> givenUp.stream().allMatch(version -> version.leases == 0));
    }
    sweep();
  }

  /** Closes what was given up and is not in use any more. */
  void sweep() throws Exception {
    List<Version<T>> unused;
    synchronized (this) {
      unused = givenUp.stream().filter(version -> version.leases == 0).toList();
      givenUp.removeAll(unused);
    }
    for (Version<T> version : unused) {
      version.opened.close();
    }
  }

  /** Lets nobody in any more. */
  synchronized void shut() {
    closed = true;
    notifyAll();
  }

  /** Closes all versions, which end the runs in progress in their own way. */
  void close() throws Exception {
    List<Version<T>> all;
    synchronized (this) {
      all = new ArrayList<>(givenUp);
      givenUp.clear();
      Optional.ofNullable(previous).ifPresent(all::add);
      Optional.ofNullable(current).ifPresent(all::add);
    }
    for (Version<T> version : all) {
      version.opened.close();
    }
  }
}
