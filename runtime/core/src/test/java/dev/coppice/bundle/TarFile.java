package dev.coppice.bundle;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Writes tars header by header, so that each can be wrong. */
final class TarFile {

  private static final int BLOCK = 512;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** The files of a bundle below one folder, as `tar --format=ustar` writes them. */
  static byte[] of(String top, Map<String, byte[]> files) {
    TarFile tar = new TarFile();
    files.forEach((name, bytes) -> tar.add('0', top + name, bytes));
    return tar.end();
  }

  TarFile add(char type, String name, byte[] content) {
    return add(header(type, name.getBytes(StandardCharsets.UTF_8), content.length), content);
  }

  /** A header as it is, whether it fits the content or not. */
  TarFile add(byte[] header, byte[] content) {
    out.writeBytes(header);
    out.writeBytes(content);
    out.writeBytes(new byte[-content.length & BLOCK - 1]);
    return this;
  }

  /** A pax header for the next entry. */
  TarFile pax(char type, String... keysAndValues) {
    StringBuilder records = new StringBuilder();
    for (String record : keysAndValues) {
      int length = record.getBytes(StandardCharsets.UTF_8).length + 3;
      length += length + 1 > 99 ? 2 : length + 1 > 9 ? 1 : 0;
      records.append(length).append(' ').append(record).append('\n');
    }
    return add(type, "pax", records.toString().getBytes(StandardCharsets.UTF_8));
  }

  byte[] end() {
    out.writeBytes(new byte[2 * BLOCK]);
    return out.toByteArray();
  }

  /** A header with its checksum. */
  static byte[] header(char type, byte[] name, long size) {
    byte[] header = new byte[BLOCK];
    System.arraycopy(name, 0, header, 0, Math.min(name.length, 100));
    put(header, 100, "0000644\0" + "0000000\0" + "0000000\0" + String.format("%011o\0", size) + "00000000000\0");
    header[156] = (byte) type;
    put(header, 257, "ustar\00000");
    return summed(header);
  }

  static byte[] put(byte[] header, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    System.arraycopy(bytes, 0, header, at, bytes.length);
    return header;
  }

  static byte[] summed(byte[] header) {
    put(header, 148, "        ");
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    return put(header, 148, String.format("%06o\0 ", sum));
  }
}
