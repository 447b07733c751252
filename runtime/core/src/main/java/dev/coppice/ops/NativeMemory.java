package dev.coppice.ops;

import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;

/**
 * Zeroed memory outside of the heap that is given back by {@link #close()}: a direct buffer of the JDK is given back when a collection happens to
 * find it, and a heap that has grown for a large array stays grown. Not safe for use by two threads.
 */
public final class NativeMemory implements AutoCloseable {

  private ByteBuffer bytes;

  /** So many bytes; OutOfMemoryError if there is no room. */
  public NativeMemory(int bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must be at least 0: " + bytes);
    }
    OperatorLibrary.load();
    this.bytes = NativeOps.allocate(Math.max(1, bytes)).limit(bytes);
  }

  /** The memory, not to be touched after {@link #close()}. */
  public ByteBuffer bytes() {
    if (bytes == null) {
      throw new IllegalStateException("This memory has been given back.");
    }
    return bytes;
  }

  @Override
  public void close() {
    if (bytes != null) {
      ByteBuffer given = bytes;
      bytes = null;
      NativeOps.release(given);
    }
  }

  /** Takes the pages of a mapped file out of memory until they are touched again. */
  public static void forget(MappedByteBuffer file) {
    OperatorLibrary.load();
    NativeOps.forget(file);
  }

  /**
   * Gives the system the memory that native code has freed, which C's allocator keeps, and the pages of ONNX Runtime's library that are only read:
   * most of them are never touched again once a model is loaded.
   */
  public static void trim() {
    OperatorLibrary.load();
    NativeOps.trim();
  }
}
