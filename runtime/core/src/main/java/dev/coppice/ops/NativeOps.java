package dev.coppice.ops;

/** The natives of libcoppice_ops.so; bound by its JNI_OnLoad. */
final class NativeOps {

  /** Raised with every change of a native's signature. */
  static final int ABI = 1;

  private NativeOps() {}

  static native int abi();

  /** The instruction set in use; IllegalStateException if COPPICE_ISA names one that cannot run here. */
  static native String isa();

  /** Instruction sets that could run here, slowest first. */
  static native String[] isas();

  static native String glibc();
}
