package dev.coppice.schedule;

/** How much this thread has allocated. */
public final class Allocation {

  static {
    try {
      bytes(); // the first call allocates more than the others
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private Allocation() {}

  /** Bytes since the thread began; asking allocates a little itself. By reflection: the module under test has no need of jdk.management. */
  public static long bytes() throws ReflectiveOperationException {
    Object threads = Class.forName("java.lang.management.ManagementFactory").getMethod("getThreadMXBean").invoke(null);
    return (long) Class.forName("com.sun.management.ThreadMXBean").getMethod("getCurrentThreadAllocatedBytes").invoke(threads);
  }
}
