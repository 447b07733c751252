package dev.coppice.pipeline;

import dev.coppice.api.Label;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/** Logits to ranked labels. */
final class Ranking {

  // Worst first, for a heap that keeps the best: lower score, then higher index.
  private static final Comparator<Label> WORST_FIRST =
      Comparator.comparingDouble((Label label) -> label.score()).thenComparing(Label::index, Comparator.reverseOrder());

  private Ranking() {}

  /** The best {@code count} labels by softmax score; equal scores by lower index. */
  static List<Label> top(FloatBuffer logits, List<String> names, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < names.size(); i++) {
      max = Math.max(max, logits.get(i));
    }
    double sum = 0;
    for (int i = 0; i < names.size(); i++) {
      sum += Math.exp(logits.get(i) - max);
    }
    PriorityQueue<Label> best = new PriorityQueue<>(WORST_FIRST);
    for (int i = 0; i < names.size(); i++) {
      best.add(new Label(i, names.get(i), (float) (Math.exp(logits.get(i) - max) / sum)));
      if (best.size() > count) {
        best.remove();
      }
    }
    List<Label> ranked = new ArrayList<>(best);
    ranked.sort(WORST_FIRST.reversed());
    return ranked;
  }
}
