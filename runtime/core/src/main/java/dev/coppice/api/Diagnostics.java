package dev.coppice.api;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The machine as the runtime sees it, for bug reports.
 *
 * @param facts by key, in the order of a report; {@code docs/reference/command-line.md} explains each
 * @param findings what is wrong with this machine; empty if nothing is
 */
public record Diagnostics(Map<String, String> facts, List<Finding> findings) {

  /**
   * Something that is wrong.
   *
   * @param code a short stable name, such as {@code clock.powersave}
   * @param sentence what it is, what follows, and what to do
   */
  public record Finding(String code, String sentence) {
    /** Checks that both are there. */
    public Finding {
      Objects.requireNonNull(code, "code");
      Objects.requireNonNull(sentence, "sentence");
    }
  }

  /** Copies both. */
  public Diagnostics {
    facts = Collections.unmodifiableMap(new LinkedHashMap<>(Objects.requireNonNull(facts, "facts")));
    findings = List.copyOf(Objects.requireNonNull(findings, "findings"));
  }
}
