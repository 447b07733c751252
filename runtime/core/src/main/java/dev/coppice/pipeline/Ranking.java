package dev.coppice.pipeline;

import dev.coppice.api.Label;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/** Logits to ranked labels. */
final class Ranking {

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
    // Insertion into the few that are asked for: a thousand labels would be a thousand objects.
    int[] best = new int[Math.min(count, names.size())];
    float[] scores = new float[best.length];
    int found = 0;
    for (int i = 0; i < names.size(); i++) {
      float score = (float) (Math.exp(logits.get(i) - max) / sum);
      if (found == best.length && Float.compare(score, scores[found - 1]) <= 0) {
        continue;
      }
      int place = found < best.length ? found++ : found - 1;
      for (; place > 0 && Float.compare(score, scores[place - 1]) > 0; place--) {
        best[place] = best[place - 1];
        scores[place] = scores[place - 1];
      }
      best[place] = i;
      scores[place] = score;
    }
    List<Label> ranked = new ArrayList<>(best.length);
    for (int place = 0; place < best.length; place++) {
      ranked.add(new Label(best[place], names.get(best[place]), scores[place]));
    }
    return ranked;
  }
}
