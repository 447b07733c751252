package dev.coppice.tensor;

import java.util.List;

/**
 * The names and shapes an engine needs of a model.
 *
 * @param name for messages
 * @param image name of the image input
 * @param imageShape of the image input
 * @param keep name of the budget input; unused with 0 stages
 * @param logits name of the logits output
 * @param classes in the logits
 * @param kept name of each stage's output
 * @param prefixTokens that every stage keeps besides its patches
 */
public record ModelSpec(
    String name, String image, long[] imageShape, String keep, String logits, int classes, List<String> kept, int prefixTokens) {}
