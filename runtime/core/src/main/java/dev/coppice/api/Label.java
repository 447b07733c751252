package dev.coppice.api;

import java.util.Objects;

/**
 * One class of a result.
 *
 * @param index of the class in the model's output
 * @param name of the class
 * @param score probability by softmax, 0..1
 */
public record Label(int index, String name, float score) {

  /** Checks that there is a name. */
  public Label {
    Objects.requireNonNull(name, "name");
  }
}
