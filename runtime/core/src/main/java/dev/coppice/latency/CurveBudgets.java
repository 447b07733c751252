package dev.coppice.latency;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** The token budgets that a curve is measured at: enough to tell what every block takes; docs/reference/latency-curve.md says how. */
public final class CurveBudgets {

  private static final int MOST_COUNTS = 256;
  private static final int GRID = 8;

  private CurveBudgets() {}

  /** Patch tokens from one to all, every count as long as there are at most 256. */
  public static List<Integer> counts(int patches) {
    return spread(patches, MOST_COUNTS);
  }

  /** A coarse grid of patch tokens, for what enters a block and what leaves it. */
  public static List<Integer> grid(int patches) {
    return spread(patches, GRID);
  }

  /** The same count at all stages, all tokens until the last stage, and two counts of the grid at the last two stages. */
  public static List<List<Integer>> of(int stages, int patches) {
    Set<List<Integer>> budgets = new LinkedHashSet<>();
    for (int count : counts(patches)) {
      budgets.add(Collections.nCopies(stages, count));
      budgets.add(ending(stages, patches, List.of(count)));
    }
    for (int entering : stages > 1 ? grid(patches) : List.<Integer>of()) {
      grid(patches).stream().filter(leaving -> leaving <= entering).forEach(leaving -> budgets.add(ending(stages, patches, List.of(entering, leaving))));
    }
    return List.copyOf(budgets);
  }

  private static List<Integer> ending(int stages, int patches, List<Integer> last) {
    List<Integer> keep = new ArrayList<>(Collections.nCopies(stages - last.size(), patches));
    keep.addAll(last);
    return List.copyOf(keep);
  }

  private static List<Integer> spread(int patches, int most) {
    int count = Math.min(most, patches);
    return IntStream.range(0, count).map(i -> count == 1 ? patches : 1 + (int) Math.round(i * (patches - 1.0) / (count - 1))).distinct().boxed().toList();
  }
}
