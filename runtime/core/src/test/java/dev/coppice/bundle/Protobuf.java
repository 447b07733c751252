package dev.coppice.bundle;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Protobuf messages field by field, right or wrong. */
public final class Protobuf {

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** A field with a number. */
  public Protobuf with(int field, long value) {
    varint((long) field << 3);
    varint(value);
    return this;
  }

  public Protobuf with(int field, byte[] value) {
    varint((long) field << 3 | 2);
    varint(value.length);
    out.writeBytes(value);
    return this;
  }

  public Protobuf with(int field, String value) {
    return with(field, value.getBytes(StandardCharsets.UTF_8));
  }

  public Protobuf with(int field, Protobuf message) {
    return with(field, message.bytes());
  }

  /** Bytes as they are. */
  public Protobuf raw(int... bytes) {
    for (int value : bytes) {
      out.write(value);
    }
    return this;
  }

  public byte[] bytes() {
    return out.toByteArray();
  }

  private void varint(long value) {
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      out.write((int) (rest & 0x7f | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }
}
