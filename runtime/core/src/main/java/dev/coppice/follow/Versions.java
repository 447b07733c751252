package dev.coppice.follow;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The open version that serves, and the one before it while the new one is on probation. Whoever uses a version holds a
 * lease; a version that is given up is closed when its last lease ends, so that no request ever meets a closed model.
 *
 * @param <T> what is open of a version
 */
final class Versions<T extends AutoCloseable> {

  /** One open version. */
  static final class Version<T> {
    private final Path folder;
    private final T opened;
    private int leases; // guarded by the versions

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
  private boolean closed;

  Versions(String name, int probation) {
    this.name = name;
    this.probation = probation;
  }

  /** The version that serves, until it is released. */
  synchronized Version<T> lease() {
    if (closed) {
      throw new IllegalStateException("What follows bundle \"" + name + "\" is closed.");
    }
    current.leases++;
    return current;
  }

  synchronized void release(Version<T> version) {
    version.leases--;
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
    if (probation == 0 && previous != null) {
      givenUp.add(previous);
      previous = null;
    }
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
    return previous == null && givenUp.isEmpty();
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

  /** Lets nobody in any more and closes all versions, which end the runs in progress in their own way. */
  void close() throws Exception {
    List<Version<T>> all;
    synchronized (this) {
      closed = true;
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
