package dev.coppice.api;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** How many tokens a run may spend. */
public sealed interface Keep permits Keep.Ratio, Keep.Counts, Keep.Named {

  /** The rung nearest to keeping this share of the incoming patch tokens at each stage; 0 excluded, 1 keeps all. */
  static Keep ratio(double ratio) {
    return new Ratio(ratio);
  }

  /** Exactly these patch tokens at each stage. */
  static Keep counts(Integer... counts) {
    return new Counts(Arrays.asList(Objects.requireNonNull(counts, "counts")));
  }

  /** The bundle's rung of this name. */
  static Keep rung(String name) {
    return new Named(name);
  }

  /**
   * Reads {@code 0.5} as a ratio, {@code 70,49} (or a whole number above 1) as counts, {@code low} as a rung.
   *
   * @throws IllegalArgumentException if the text is none of these
   */
  static Keep parse(String text) {
    Objects.requireNonNull(text, "text");
    try {
      if (text.matches("[a-z][a-z0-9-]+")) {
        return rung(text);
      }
      if (text.matches("\\d+(,\\d+)+") || text.matches("[1-9]\\d+|[2-9]")) {
        return new Counts(Arrays.stream(text.split(",")).map(Integer::valueOf).toList());
      }
      if (text.matches("[0-9.]+")) {
        return ratio(Double.parseDouble(text));
      }
    } catch (NumberFormatException tooLarge) {
      throw new IllegalArgumentException(expectation(text), tooLarge);
    }
    throw new IllegalArgumentException(expectation(text));
  }

  private static String expectation(String found) {
    return "keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): " + found;
  }

  /** A share of the incoming patch tokens at each stage. */
  record Ratio(double ratio) implements Keep {
    /** Checks the range. */
    public Ratio {
      if (!(ratio > 0 && ratio <= 1)) {
        throw new IllegalArgumentException(expectation(String.valueOf(ratio)));
      }
    }
  }

  /** Patch tokens kept at each stage. */
  record Counts(List<Integer> counts) implements Keep {
    /** Copies the counts. */
    public Counts {
      counts = List.copyOf(Objects.requireNonNull(counts, "counts"));
    }
  }

  /** A rung by its name. */
  record Named(String name) implements Keep {
    /** Checks that there is a name. */
    public Named {
      Objects.requireNonNull(name, "name");
    }
  }
}
