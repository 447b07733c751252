package dev.coppice.bundle;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What counts in a pax header: it names or sizes the next entry of a tar. Source: POSIX.1-2017, pax.
 *
 * @param name of the entry, if the header says it
 * @param bytes of the entry, if the header says it
 */
record PaxHeader(Optional<String> name, OptionalLong bytes) {

  static final PaxHeader NOTHING = new PaxHeader(Optional.empty(), OptionalLong.empty());

  /** Reads records {@code LENGTH KEY=VALUE\n}; empty if they are none, or would make the entry another kind of file. */
  static Optional<PaxHeader> parse(byte[] records) throws CharacterCodingException {
    PaxHeader header = NOTHING;
    for (int from = 0; from < records.length; ) {
      int space = from;
      int length = 0;
      while (space < records.length && space < from + 6 && records[space] >= '0' && records[space] <= '9') {
        length = 10 * length + records[space++] - '0';
      }
      int next = from + length;
      if (next > records.length || next < space + 3 || records[space] != ' ' || records[next - 1] != '\n') {
        return Optional.empty();
      }
      String[] record = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(records, space + 1, next - space - 2)).toString().split("=", 2);
      if (record.length < 2 || !header.admits(record[0], record[1])) {
        return Optional.empty();
      }
      header = record[0].equals("path") ? new PaxHeader(Optional.of(record[1]), header.bytes)
          : record[0].equals("size") ? new PaxHeader(header.name, OptionalLong.of(Long.parseLong(record[1]))) : header;
      from = next;
    }
    return Optional.of(header);
  }

  private boolean admits(String key, String value) {
    return switch (key) {
      case "path" -> name.isEmpty();
      case "size" -> bytes.isEmpty() && value.matches("\\d{1,10}");
      case "linkpath", "hdrcharset" -> false;
      default -> !key.startsWith("GNU.sparse");
    };
  }
}
