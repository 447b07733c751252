package dev.coppice.device;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;

/**
 * What is known of a board without asking it; devices/README.md explains each key and where it comes from.
 *
 * @param key file name
 * @param name for people
 * @param architecture of a generic profile, which stands for every machine with these processors that no other is for
 * @param compatible entries of the device tree that mean this board; this and what follows are empty in a generic profile
 * @param memoryMib sizes in which it is sold
 * @param clusters of cores, the slowest first
 * @param l3Kib third-level cache, 0 without one
 * @param throttleCelsius where the firmware begins to lower the clock, if known
 * @param unsupported why Coppice cannot run on it, if it cannot
 */
public record BoardProfile(
    String key,
    String name,
    Optional<String> architecture,
    Set<String> compatible,
    List<Integer> memoryMib,
    List<Cluster> clusters,
    int l3Kib,
    OptionalDouble throttleCelsius,
    Optional<String> unsupported) {

  private static final String FOLDER = "/META-INF/coppice/boards/";

  /** Cores of one kind. */
  public record Cluster(String core, int count, int mhz, Set<String> isa, int l2Kib) {}

  /** Every profile of this library. */
  public static List<BoardProfile> all() {
    try (BufferedReader index = new BufferedReader(new InputStreamReader(open("index"), StandardCharsets.UTF_8))) {
      return index.lines().map(BoardProfile::named).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The profile of a board, by the first of its device-tree entries that one names, else by its architecture. */
  public static Optional<BoardProfile> of(Board board) {
    List<BoardProfile> profiles = all();
    for (String entry : board.compatible()) {
      for (BoardProfile profile : profiles) {
        if (profile.compatible.contains(module(entry))) {
          return Optional.of(profile);
        }
      }
    }
    return profiles.stream().filter(profile -> profile.isGeneric() && profile.architecture.equals(board.architecture())).findFirst();
  }

  /** Whether it stands for machines of which nothing but the processors' architecture is known. */
  public boolean isGeneric() {
    return architecture.isPresent();
  }

  /** {@code nvidia,p3509-0000+p3668-0000} is a carrier with a module, which may be marked {@code -super}. */
  private static String module(String entry) {
    int plus = entry.indexOf('+');
    String name = plus < 0 ? entry : entry.substring(0, entry.indexOf(',') + 1) + entry.substring(plus + 1);
    return name.endsWith("-super") ? name.substring(0, name.length() - "-super".length()) : name;
  }

  private static BoardProfile named(String key) {
    Properties text = new Properties();
    try (InputStreamReader reader = new InputStreamReader(open(key + ".properties"), StandardCharsets.UTF_8)) {
      text.load(reader);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return parse(key, text);
  }

  static BoardProfile parse(String key, Properties text) {
    Set<String> unread = new TreeSet<>(text.stringPropertyNames());
    if (text.containsKey("architecture")) {
      String architecture = take(key, text, unread, "architecture");
      return checked(new BoardProfile(key, take(key, text, unread, "name"), Optional.of(architecture), Set.of(), List.of(), List.of(), 0, OptionalDouble.empty(),
          Optional.empty()), unread);
    }
    List<Cluster> clusters = new ArrayList<>();
    for (int i = 0; i == 0 || text.containsKey("cluster." + i + ".core"); i++) {
      String prefix = "cluster." + i + ".";
      clusters.add(new Cluster(take(key, text, unread, prefix + "core"), number(key, text, unread, prefix + "count"), number(key, text, unread, prefix + "mhz"),
          Set.of(list(take(key, text, unread, prefix + "isa"))), number(key, text, unread, prefix + "l2_kib")));
    }
    return checked(new BoardProfile(key, take(key, text, unread, "name"), Optional.empty(), Set.of(list(take(key, text, unread, "compatible"))),
        Arrays.stream(list(take(key, text, unread, "memory_mib"))).map(size -> whole(key, "memory_mib", size)).toList(), List.copyOf(clusters),
        text.containsKey("l3_kib") ? number(key, text, unread, "l3_kib") : 0,
        text.containsKey("throttle_celsius") ? OptionalDouble.of(number(key, text, unread, "throttle_celsius")) : OptionalDouble.empty(),
        text.containsKey("unsupported") ? Optional.of(take(key, text, unread, "unsupported")) : Optional.empty()), unread);
  }

  private static BoardProfile checked(BoardProfile profile, Set<String> unread) {
    if (!unread.isEmpty()) {
      throw new IllegalArgumentException("board " + profile.key + ": expected the keys of devices/README.md, found " + unread);
    }
    return profile;
  }

  private static String take(String key, Properties text, Set<String> unread, String name) {
    String value = text.getProperty(name);
    if (value == null) {
      throw new IllegalArgumentException("board " + key + ": expected " + name + ", found " + text.stringPropertyNames());
    }
    unread.remove(name);
    return value;
  }

  private static int number(String key, Properties text, Set<String> unread, String name) {
    return whole(key, name, take(key, text, unread, name));
  }

  private static int whole(String key, String name, String value) {
    if (!value.matches("[1-9]\\d{0,8}")) {
      throw new IllegalArgumentException("board " + key + ": " + name + " must be a whole number above 0: " + value);
    }
    return Integer.parseInt(value);
  }

  private static String[] list(String value) {
    return value.split(" +"); // device-tree names have commas
  }

  private static InputStream open(String file) throws IOException {
    InputStream found = BoardProfile.class.getResourceAsStream(FOLDER + file);
    if (found == null) {
      throw new IOException("this library has no " + FOLDER + file);
    }
    return found;
  }
}
