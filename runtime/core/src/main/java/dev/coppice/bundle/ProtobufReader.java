package dev.coppice.bundle;

import java.nio.ByteBuffer;

/** The fields of a protobuf message, one after the other. Source: protobuf.dev, "Encoding". */
final class ProtobufReader {

  private final ByteBuffer bytes;
  private int field;
  private long number;
  private ByteBuffer content;

  ProtobufReader(ByteBuffer message) {
    bytes = message;
  }

  /** Bytes that are no message. */
  static final class Damaged extends Exception {
    private static final long serialVersionUID = 1;
  }

  /** Goes to the next field, if there is one. */
  boolean next() throws Damaged {
    if (!bytes.hasRemaining()) {
      return false;
    }
    long tag = varint(bytes);
    field = (int) (tag >>> 3);
    if (tag >>> 32 != 0 || field == 0) {
      throw new Damaged();
    }
    number = 0;
    content = null;
    switch ((int) tag & 7) {
      case 0 -> number = varint(bytes);
      case 1 -> skip(8);
      case 2 -> content = skip(varint(bytes));
      case 5 -> skip(4);
      default -> throw new Damaged(); // groups, which no version of ONNX has
    }
    return true;
  }

  int field() {
    return field;
  }

  /** Whether it has bytes: a text, a message, or many numbers. */
  boolean hasContent() {
    return content != null;
  }

  ByteBuffer content() {
    return content;
  }

  /** 0 if it is no number. */
  long number() {
    return number;
  }

  private ByteBuffer skip(long count) throws Damaged {
    if (count < 0 || count > bytes.remaining()) {
      throw new Damaged();
    }
    ByteBuffer skipped = bytes.slice(bytes.position(), (int) count);
    bytes.position(bytes.position() + (int) count);
    return skipped;
  }

  /** A number of up to ten bytes, seven bits in each. */
  static long varint(ByteBuffer bytes) throws Damaged {
    long value = 0;
    for (int shift = 0; shift < 64 && bytes.hasRemaining(); shift += 7) {
      byte next = bytes.get();
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw new Damaged();
  }
}
