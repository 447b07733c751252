package dev.coppice.ops;

import java.nio.ByteBuffer;

/** The natives of libcoppice_ops.so; bound by its JNI_OnLoad. */
final class NativeOps {

  /** Raised with every change of a native's signature. */
  static final int ABI = 3;

  private NativeOps() {}

  static native int abi();

  /** The instruction set in use; IllegalStateException if COPPICE_ISA names one that cannot run here. */
  static native String isa();

  /** Instruction sets that could run here, slowest first. */
  static native String[] isas();

  static native String glibc();

  /** Zeroed memory of more than 0 bytes; OutOfMemoryError if there is none. */
  static native ByteBuffer allocate(long bytes);

  /** Gives back what {@link #allocate} gave; nobody may touch the buffer any more. */
  static native void release(ByteBuffer buffer);

  /** Takes the pages of a mapped file out of this process's memory. */
  static native void forget(ByteBuffer mapped);

  /** Gives the system what C's allocator keeps of freed memory, and the pages of ONNX Runtime's library that are only read. */
  static native void trim();

  /** The SHA-256 of {@code count} bytes of the array, or of the direct buffer where that is null; false where the processor has no instructions for it. */
  static native boolean sha256(ByteBuffer direct, byte[] array, int from, int count, byte[] digest);
}
