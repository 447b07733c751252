package dev.coppice.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * Floats in native memory, so that ONNX Runtime reads and writes them in place.
 *
 * @param data direct, in the processor's byte order; position 0
 * @param shape row-major
 */
public record FloatTensor(FloatBuffer data, long[] shape) {

  /** A tensor of zeros. */
  public static FloatTensor zeros(long... shape) {
    long elements = 1;
    for (long axis : shape) {
      elements = Math.multiplyExact(elements, axis);
    }
    int bytes = Math.toIntExact(Math.multiplyExact(elements, Float.BYTES));
    return new FloatTensor(ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer(), shape);
  }

  /** The number of elements. */
  public int elements() {
    return data.capacity();
  }
}
