package dev.coppice.api;

import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A version of Semantic Versioning 2.0.0 without build metadata. A pre-release comes before its release.
 *
 * @param major 0..999999999
 * @param minor 0..999999999
 * @param patch 0..999999999
 * @param preRelease identifiers between dots; empty for a release
 */
public record Version(int major, int minor, int patch, String preRelease) implements Comparable<Version> {

  private static final String IDENTIFIER = "(?:0|[1-9]\\d{0,8}|\\d{0,31}[A-Za-z-][0-9A-Za-z-]{0,31})";
  private static final Pattern SYNTAX =
      Pattern.compile("(\\d{1,9})\\.(\\d{1,9})\\.(\\d{1,9})(?:-(" + IDENTIFIER + "(?:\\." + IDENTIFIER + "){0,7}))?");

  /** Checks the syntax. */
  public Version {
    Objects.requireNonNull(preRelease, "preRelease");
    if (major < 0 || minor < 0 || patch < 0 || !SYNTAX.matcher(text(major, minor, patch, preRelease)).matches()) {
      throw refusal(text(major, minor, patch, preRelease));
    }
  }

  /** Reads a version such as {@code 1.2.3} or {@code 1.2.3-rc.1}. */
  public static Version parse(String text) {
    Matcher parts = SYNTAX.matcher(Objects.requireNonNull(text, "text"));
    if (!parts.matches()) {
      throw refusal(text);
    }
    return new Version(Integer.parseInt(parts.group(1)), Integer.parseInt(parts.group(2)), Integer.parseInt(parts.group(3)),
        parts.group(4) == null ? "" : parts.group(4));
  }

  private static IllegalArgumentException refusal(String text) {
    return new IllegalArgumentException("version must be SemVer such as 1.2.3 or 1.2.3-rc.1: " + text);
  }

  private static String text(int major, int minor, int patch, String preRelease) {
    return major + "." + minor + "." + patch + (preRelease.isEmpty() ? "" : "-" + preRelease);
  }

  @Override
  public int compareTo(Version other) {
    int release = Integer.compare(major, Objects.requireNonNull(other, "other").major);
    release = release != 0 ? release : Integer.compare(minor, other.minor);
    release = release != 0 ? release : Integer.compare(patch, other.patch);
    if (release != 0 || preRelease.equals(other.preRelease)) {
      return release;
    }
    if (preRelease.isEmpty() || other.preRelease.isEmpty()) {
      return preRelease.isEmpty() ? 1 : -1;
    }
    String[] mine = preRelease.split("\\.");
    String[] others = other.preRelease.split("\\.");
    for (int i = 0; i < Math.min(mine.length, others.length); i++) {
      int order = compareIdentifiers(mine[i], others[i]);
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(mine.length, others.length);
  }

  /** Numbers by value and before texts, texts by ASCII. */
  private static int compareIdentifiers(String mine, String other) {
    boolean number = mine.matches("\\d+");
    boolean otherNumber = other.matches("\\d+");
    if (number && otherNumber) {
      return Integer.compare(Integer.parseInt(mine), Integer.parseInt(other));
    }
    return number == otherNumber ? mine.compareTo(other) : number ? -1 : 1;
  }

  @Override
  public String toString() {
    return text(major, minor, patch, preRelease);
  }
}
