package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * Where the files of a tar are. Reads what GNU tar, bsdtar, BusyBox, git and Python write by default: ustar, with long
 * names in GNU's or pax headers. Whatever is not a file or a folder below the top is refused, and so is every byte that
 * has no meaning. Source: POSIX.1-2017, pax; the tar manual of GNU, "Basic Tar Format".
 */
final class TarIndex {

  private static final int BLOCK = 512;
  private static final long MOST_BYTES = 2L << 30;
  private static final int MOST_HEADER_BYTES = 65_536; // of a header, and of zeros at the end
  private static final int LONGEST_NAME = 1024;

  /** Where a file's bytes are. */
  record Entry(long offset, long bytes) {}

  private final Path tar;
  private final FileChannel channel;
  private final long end;
  private final Map<String, Entry> files = new TreeMap<>();
  private long at;
  private int headers;
  private Optional<String> longName = Optional.empty(); // of the next entry, from a header of its own
  private OptionalLong longSize = OptionalLong.empty(); // likewise

  private TarIndex(Path tar, FileChannel channel) throws IOException {
    this.tar = tar;
    this.channel = channel;
    this.end = channel.size();
  }

  /** The files by name, in order of their names. */
  static Map<String, Entry> of(Path tar, FileChannel channel) throws IOException {
    TarIndex index = new TarIndex(tar, channel);
    index.readEntries();
    if (index.end - index.at > MOST_HEADER_BYTES) {
      throw index.refused("expected at most " + MOST_HEADER_BYTES + " bytes after its end, found " + (index.end - index.at));
    }
    index.requireZeros(index.end - index.at);
    index.requireTree();
    return index.files;
  }

  private void readEntries() throws IOException {
    for (byte[] header = block(); !isZero(header); header = block()) {
      if (++headers > 4 * Source.MOST_FILES) { // folders, and headers before headers
        throw Source.tooMany(tar);
      }
      requireChecksum(header);
      readEntry(header);
    }
    if (longName.isPresent() || longSize.isPresent()) {
      throw refused("expected an entry after its long name, found the end");
    }
    if (!isZero(block())) {
      throw refused("expected two blocks of zeros at its end, found one");
    }
  }

  private void readEntry(byte[] header) throws IOException {
    char type = (char) header[156];
    long size = number(header, 124, 12);
    switch (type) {
      case 'L' -> announce(Optional.of(text(trimmed(content(size)))), OptionalLong.empty());
      case 'x', 'g' -> {
        PaxHeader pax = PaxHeader.parse(content(size)).orElseThrow(() -> refused("expected a pax header of an ordinary file, found something else"));
        if (type == 'g' && !pax.equals(PaxHeader.NOTHING)) {
          throw refused("expected names and sizes with their files, found them for all");
        }
        announce(pax.name(), pax.bytes());
      }
      case '0', '\0', '5' -> {
        String name = name(longName.isPresent() ? longName.get() : ustarName(header), type == '5');
        long bytes = longSize.orElse(size);
        longName = Optional.empty();
        longSize = OptionalLong.empty();
        if (type != '5') {
          add(name, bytes);
        } else if (bytes != 0) {
          throw refused("expected a folder without bytes, found " + bytes + " in \"" + name + "\"");
        }
      }
      default -> throw new BundleException("link", tar + ": expected files and folders, found an entry of type \"" + Json.shortened(String.valueOf(type))
          + "\", such as a link or device; pack the bundle's files themselves.");
    }
  }

  private void add(String name, long bytes) throws IOException {
    if (bytes > MOST_BYTES || bytes > end - at) {
      throw refused("expected the " + bytes + " bytes of \"" + name + "\", found " + (end - at));
    }
    if (files.size() > Source.MOST_FILES) {
      throw Source.tooMany(tar);
    }
    if (files.put(name, new Entry(at, bytes)) != null) {
      throw refused("expected every file once, found \"" + name + "\" twice");
    }
    at += bytes;
    requireZeros(padding(bytes));
  }

  /** A name that leads to a place below the top and nowhere else. */
  private String name(String raw, boolean folder) {
    String name = folder && raw.endsWith("/") ? raw.substring(0, raw.length() - 1) : raw;
    if (folder && name.equals(".")) {
      return name;
    }
    name = name.startsWith("./") ? name.substring(2) : name;
    boolean good = !name.isEmpty() && name.length() <= LONGEST_NAME && name.chars().noneMatch(c -> Character.isISOControl(c) || c == '\\');
    for (String part : name.split("/", -1)) {
      good = good && !part.isEmpty() && !part.equals(".") && !part.equals("..");
    }
    if (!good) {
      throw new BundleException("link", tar + ": expected names of files below its top, found " + Json.shortened(raw) + "; pack the bundle again.");
    }
    return name;
  }

  private static String ustarPart(byte[] header, int from, int length) throws CharacterCodingException {
    return text(trimmed(Arrays.copyOfRange(header, from, from + length)));
  }

  private String ustarName(byte[] header) throws IOException {
    String name = ustarPart(header, 0, 100);
    if (header[262] != 0) { // GNU's magic ends in a space there, and the prefix has other uses
      return name;
    }
    String prefix = ustarPart(header, 345, 155);
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  /** What a header says of the next entry; said twice, readers would differ in what they believe. */
  private void announce(Optional<String> name, OptionalLong bytes) {
    if (name.isPresent() && longName.isPresent() || bytes.isPresent() && longSize.isPresent()) {
      throw refused("expected one long name or size for an entry, found two");
    }
    longName = longName.isPresent() ? longName : name;
    longSize = longSize.isPresent() ? longSize : bytes;
  }

  private byte[] block() throws IOException {
    byte[] block = TarSource.bytes(channel, at, BLOCK);
    at += BLOCK;
    return block;
  }

  private byte[] content(long size) throws IOException {
    if (size > MOST_HEADER_BYTES) {
      throw refused("expected at most " + MOST_HEADER_BYTES + " bytes of a header, found " + size);
    }
    byte[] content = TarSource.bytes(channel, at, (int) size);
    at += size;
    requireZeros(padding(size));
    return content;
  }

  private static long padding(long bytes) {
    return -bytes & BLOCK - 1;
  }

  private void requireZeros(long count) throws IOException {
    for (long last = at + count; at < last; ) {
      byte[] some = TarSource.bytes(channel, at, (int) Math.min(BLOCK, last - at));
      if (!isZero(some)) {
        throw refused("expected zeros up to byte " + last + ", found something else");
      }
      at += some.length;
    }
  }

  private static boolean isZero(byte[] bytes) {
    return Arrays.equals(bytes, new byte[bytes.length]);
  }

  /** Six digits, NUL and space as POSIX has it, or seven and NUL as git writes them. */
  private void requireChecksum(byte[] header) {
    int sum = 8 * ' ';
    for (int i = 0; i < BLOCK; i++) {
      sum += i >= 148 && i < 156 ? 0 : header[i] & 0xff;
    }
    String found = new String(header, 148, 8, StandardCharsets.ISO_8859_1);
    boolean magic = new String(header, 257, 8, StandardCharsets.ISO_8859_1).matches("ustar\00000|ustar  \0");
    if (!magic || !found.equals(String.format("%06o\0 ", sum)) && !found.equals(String.format("%07o\0", sum))) {
      throw refused("expected the header of a ustar entry with its checksum at byte " + (at - BLOCK) + ", found something else");
    }
  }

  private long number(byte[] header, int from, int length) {
    String digits = new String(header, from, length, StandardCharsets.ISO_8859_1);
    if (!digits.matches("[0-7]{" + (length - 1) + "}[\0 ]")) {
      throw refused("expected an octal size, found something else");
    }
    return Long.parseLong(digits.substring(0, length - 1), 8);
  }

  /** A file cannot be the folder of another. */
  private void requireTree() {
    for (String name : files.keySet()) {
      for (int slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
        if (files.containsKey(name.substring(0, slash))) {
          throw refused("expected a folder of \"" + name + "\", found a file of that name");
        }
      }
    }
  }

  private static byte[] trimmed(byte[] text) {
    int length = 0;
    while (length < text.length && text[length] != 0) {
      length++;
    }
    return Arrays.copyOf(text, length);
  }

  private static String text(byte[] bytes) throws CharacterCodingException {
    return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
  }

  private BundleException refused(String expectedAndFound) {
    return new BundleException("tar", tar + ": " + expectedAndFound + "; pack the bundle again with `tar --create --file=BUNDLE.tar BUNDLE`.");
  }
}
