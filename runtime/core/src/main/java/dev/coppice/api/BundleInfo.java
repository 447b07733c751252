package dev.coppice.api;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * What a bundle says about itself.
 *
 * @param name of the model
 * @param version SemVer of the bundle
 * @param operators of domain dev.coppice that the model uses
 * @param precision of the products and their weights: {@code float32}, {@code float16} (stored), {@code float16-compute},
 *     {@code int8-dynamic} or {@code int8-static}
 * @param labels names of the classes, by index
 * @param preprocessing what the model expects of its input
 * @param grid patches along one edge of the image
 * @param prefixTokens tokens before the patches, such as the class token
 * @param stages reductions in the model; 0 for a model with a fixed cost
 * @param reducingBlocks the block of each stage, counted from 0; empty if the bundle does not say
 * @param ladder rungs from most to fewest tokens
 * @param defaultRung the rung used when nobody asks for another; empty without a ladder
 * @param accuracyData the photographs that the rungs' top-1 were measured on
 * @param fileBytes size of each file
 * @param sha256 of the manifest, which has the hash of every file
 * @param modelSha256 of the graph
 */
public record BundleInfo(
    String name,
    String version,
    List<String> operators,
    String precision,
    List<String> labels,
    Preprocessing preprocessing,
    int grid,
    int prefixTokens,
    int stages,
    List<Integer> reducingBlocks,
    List<Rung> ladder,
    Optional<String> defaultRung,
    Optional<String> accuracyData,
    Map<String, Long> fileBytes,
    String sha256,
    String modelSha256) {

  /** Copies the collections. */
  public BundleInfo {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(version, "version");
    Objects.requireNonNull(precision, "precision");
    Objects.requireNonNull(preprocessing, "preprocessing");
    Objects.requireNonNull(defaultRung, "defaultRung");
    Objects.requireNonNull(accuracyData, "accuracyData");
    Objects.requireNonNull(sha256, "sha256");
    Objects.requireNonNull(modelSha256, "modelSha256");
    operators = List.copyOf(Objects.requireNonNull(operators, "operators"));
    labels = List.copyOf(Objects.requireNonNull(labels, "labels"));
    reducingBlocks = List.copyOf(Objects.requireNonNull(reducingBlocks, "reducingBlocks"));
    ladder = List.copyOf(Objects.requireNonNull(ladder, "ladder"));
    fileBytes = Map.copyOf(Objects.requireNonNull(fileBytes, "fileBytes"));
  }
}
