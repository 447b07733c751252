package dev.coppice.latency;

import java.util.Objects;

/**
 * Something to know about a measurement.
 *
 * @param doubt its kind
 * @param sentence what was expected and found, and what to do
 */
public record Finding(Doubt doubt, String sentence) {

  /** Checks that both are there. */
  public Finding {
    Objects.requireNonNull(doubt, "doubt");
    Objects.requireNonNull(sentence, "sentence");
  }
}
