package dev.coppice.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * A bounded queue that gives the most urgent entry first: by lane, in a lane by deadline, then by age. Safe for use by many
 * threads.
 *
 * @param <T> what waits
 */
public final class RequestQueue<T> {

  private final class Entry {
    final T work;
    final int lane;
    final long deadlineNanos;
    final long number;

    Entry(T work, int lane, long deadlineNanos) {
      this.work = work;
      this.lane = lane;
      this.deadlineNanos = deadlineNanos;
      this.number = offered++;
    }

    /** Whether this goes before work of that lane and deadline which comes later. Monotonic times may wrap around. */
    boolean before(int otherLane, long otherDeadlineNanos) {
      return lane < otherLane || lane == otherLane && deadlineNanos - otherDeadlineNanos <= 0;
    }
  }

  private final int capacity;
  private final boolean newestWins;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition offer = lock.newCondition();
  private final List<Entry> entries = new ArrayList<>(); // most urgent first
  private long offered;
  private boolean closed;

  /** newestWins: a full queue gives up its oldest entry of the last lane for one that is as urgent. */
  public RequestQueue(int capacity, boolean newestWins) {
    this.capacity = capacity;
    this.newestWins = newestWins;
  }

  /** What became of an offer. */
  public enum Offer { TAKEN, FULL, CLOSED }

  /** Queues work; what has to go for it is handed to {@code dropped}, outside of any lock. */
  public Offer offer(T work, int lane, long deadlineNanos, Consumer<T> dropped) {
    Entry victim = null;
    lock.lock();
    try {
      if (closed) {
        return Offer.CLOSED;
      }
      if (entries.size() >= capacity) {
        victim = newestWins ? leastUrgent() : null;
        if (victim == null || victim.lane < lane) {
          return Offer.FULL;
        }
        entries.remove(victim);
      }
      entries.add(ahead(lane, deadlineNanos), new Entry(work, lane, deadlineNanos));
      offer.signal();
    } finally {
      lock.unlock();
    }
    if (victim != null) {
      dropped.accept(victim.work);
    }
    return Offer.TAKEN;
  }

  private Entry leastUrgent() {
    Entry found = null;
    for (Entry entry : entries) {
      if (found == null || entry.lane > found.lane || entry.lane == found.lane && entry.number < found.number) {
        found = entry;
      }
    }
    return found;
  }

  /** The most urgent entry, waiting for one; empty once the queue is closed. */
  public Optional<T> take() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (entries.isEmpty() && !closed) {
        offer.await();
      }
      return closed ? Optional.empty() : Optional.of(entries.remove(0).work);
    } finally {
      lock.unlock();
    }
  }

  /** Takes an entry out; whether it was still there. */
  public boolean remove(T work) {
    lock.lock();
    try {
      return entries.removeIf(entry -> entry.work == work);
    } finally {
      lock.unlock();
    }
  }

  /** How many entries would go before one of this lane and deadline. */
  public int ahead(int lane, long deadlineNanos) {
    lock.lock();
    try {
      int count = 0;
      while (count < entries.size() && entries.get(count).before(lane, deadlineNanos)) {
        count++;
      }
      return count;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The longest that a run may take now so that, with runs of the same length, everything that waits is done in time.
   * What the shortest run could not save does not count.
   *
   * @param deadlineNanos of the work that is to run now
   * @param shortestNanos of a run
   */
  public long room(long nowNanos, long deadlineNanos, double shortestNanos) {
    lock.lock();
    try {
      long room = deadlineNanos - nowNanos;
      for (int i = 0; i < entries.size(); i++) {
        long share = (entries.get(i).deadlineNanos - nowNanos) / (i + 2);
        if (share >= shortestNanos) {
          room = Math.min(room, share);
        }
      }
      return room;
    } finally {
      lock.unlock();
    }
  }

  /** How many entries wait. */
  public int size() {
    lock.lock();
    try {
      return entries.size();
    } finally {
      lock.unlock();
    }
  }

  /** Accepts no more and hands over what waits. Harmless when repeated. */
  public void close(Consumer<T> left) {
    List<T> waiting;
    lock.lock();
    try {
      closed = true;
      waiting = entries.stream().map(entry -> entry.work).toList();
      entries.clear();
      offer.signalAll();
    } finally {
      lock.unlock();
    }
    waiting.forEach(left);
  }
}
