package dev.coppice.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.List;

/**
 * 64-bit integers in native memory.
 *
 * @param data direct, in the processor's byte order; position 0
 * @param shape row-major
 */
public record LongTensor(LongBuffer data, long[] shape) {

  /** A tensor of zeros with one row of {@code length}. */
  public static LongTensor row(int length) {
    return new LongTensor(allocate(length), new long[] {1, length});
  }

  /** A vector of these values. */
  public static LongTensor vector(List<Integer> values) {
    LongBuffer data = allocate(values.size());
    for (int i = 0; i < values.size(); i++) {
      data.put(i, values.get(i));
    }
    return new LongTensor(data, new long[] {values.size()});
  }

  private static LongBuffer allocate(int elements) {
    return ByteBuffer.allocateDirect(elements * Long.BYTES).order(ByteOrder.nativeOrder()).asLongBuffer();
  }
}
