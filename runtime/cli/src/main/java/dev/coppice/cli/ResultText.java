package dev.coppice.cli;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Label;
import dev.coppice.api.Result;
import dev.coppice.api.Timings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** A result for people: labels, tokens, time. */
final class ResultText {

  private static final int BAR = 30;

  private ResultText() {}

  static String of(Path file, Result result, BundleInfo bundle) {
    StringBuilder text = new StringBuilder(file.toString()).append('\n');
    int width = result.labels().stream().mapToInt(l -> l.name().length()).max().orElse(0);
    for (Label label : result.labels()) {
      String bar = "█".repeat(Math.round(label.score() * BAR));
      text.append(format("  %-" + width + "s %6.2f %%  %s%n", label.name(), 100 * label.score(), bar));
    }
    text.append(times(result.timings()));
    if (!result.keep().isEmpty()) {
      text.append(tokens(result, bundle)).append(grids(result.kept(), bundle));
    }
    return text.toString();
  }

  /** The patch tokens left after each stage, and the budget where the picture needed less. */
  private static String tokens(Result result, BundleInfo bundle) {
    List<Integer> left = result.kept().stream().map(stage -> stage.size() - bundle.prefixTokens()).toList();
    List<String> notes = new ArrayList<>();
    result.rung().ifPresent(rung -> notes.add("rung " + rung));
    if (!left.equals(result.keep())) {
      notes.add("of at most " + joined(result.keep(), ", "));
    }
    String note = notes.isEmpty() ? "" : "  (" + String.join("; ", notes) + ")";
    return format("  tokens  %d → %s%s%n", bundle.grid() * bundle.grid(), joined(left, " → "), note);
  }

  private static String joined(List<Integer> counts, String between) {
    return counts.stream().map(String::valueOf).collect(Collectors.joining(between));
  }

  private static String times(Timings t) {
    return format(
        "  time    decode %s · preprocess %s · run %s · rank %s · total %s%n",
        millis(t.decode()), millis(t.preprocess()), millis(t.run()), millis(t.rank()), millis(t.total()));
  }

  private static String millis(long nanos) {
    return format("%.2f ms", nanos / 1e6);
  }

  /** The token grid of each stage, side by side: a block for a kept patch, a dot for a dropped one. */
  private static String grids(List<List<Integer>> kept, BundleInfo bundle) {
    StringBuilder text = new StringBuilder();
    for (int row = 0; row < bundle.grid(); row++) {
      text.append("          ");
      for (List<Integer> stage : kept) {
        Set<Integer> positions = new HashSet<>(stage);
        for (int column = 0; column < bundle.grid(); column++) {
          text.append(positions.contains(bundle.prefixTokens() + row * bundle.grid() + column) ? "██" : "··");
        }
        text.append("   ");
      }
      text.setLength(text.length() - 3);
      text.append('\n');
    }
    return text.toString();
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
