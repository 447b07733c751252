package dev.coppice.latency;

import com.sun.management.ThreadMXBean;
import java.lang.management.CompilationMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.locks.LockSupport;

/** Time and the JVM as a measurement sees them. */
interface Host {

  /** From here on a thread spins, because the kernel wakes it up to so many nanoseconds late. */
  long SPIN_NANOS = 200_000;

  /** Nanoseconds since some moment. */
  long nanos();

  /** Returns no earlier than this moment. */
  void waitUntil(long nanos);

  /** Milliseconds that the JVM has spent compiling; 0 if it does not tell. */
  long compilationMillis();

  /** Bytes that this thread has allocated; 0 if the JVM does not tell. */
  long allocatedBytes();

  /** Garbage collections so far. */
  long collections();

  /** This machine, with the monotonic clock, which no change of the wall clock moves. */
  Host SYSTEM = new Host() {
    @Override
    public long nanos() {
      return System.nanoTime();
    }

    @Override
    public void waitUntil(long nanos) {
      for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
        if (left > SPIN_NANOS) {
          LockSupport.parkNanos(left - SPIN_NANOS);
        } else {
          Thread.onSpinWait();
        }
      }
    }

    @Override
    public long compilationMillis() {
      CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
      return compiler == null || !compiler.isCompilationTimeMonitoringSupported() ? 0 : compiler.getTotalCompilationTime();
    }

    @Override
    public long allocatedBytes() {
      return ManagementFactory.getThreadMXBean() instanceof ThreadMXBean threads && threads.isThreadAllocatedMemorySupported() ? threads.getCurrentThreadAllocatedBytes() : 0;
    }

    @Override
    public long collections() {
      return ManagementFactory.getGarbageCollectorMXBeans().stream().mapToLong(GarbageCollectorMXBean::getCollectionCount).sum();
    }
  };
}
