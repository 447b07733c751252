package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Keep;
import dev.coppice.api.Preprocessing;
import dev.coppice.api.Rung;
import dev.coppice.api.Trust;
import dev.coppice.ops.Sha256;
import dev.coppice.tensor.Graph;
import dev.coppice.tensor.ModelSpec;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;

/**
 * A bundle in which every file is listed, nothing else is there, and every file has its size and hash; the graph when an engine reads it.
 *
 * @param info for users
 * @param model what an engine needs to know
 * @param graph of the model
 * @param goldenCases stored inputs with the outputs that the author saw
 */
public record Bundle(BundleInfo info, ModelSpec model, Graph graph, GoldenCases goldenCases) {

  /** The version of this library, which a bundle's range is compared with. */
  public static final String RUNTIME_VERSION = Manifest.RUNTIME.toString();

  private static final String CONFIG = "config.json";
  private static final String PREPROCESSING = "preprocessor_config.json";

  /**
   * A stored run.
   *
   * @param name of its folder
   * @param image input tensor
   * @param keep budget
   * @param logits expected
   * @param tolerance largest absolute difference
   */
  public record Golden(String name, float[] image, List<Integer> keep, float[] logits, double tolerance) {}

  /** A token budget in numbers, with the name of its rung if it has one. */
  public record Budget(List<Integer> keep, Optional<String> rung) {}

  /** Reads and verifies a bundle folder or the tar of one, with its graph. */
  public static Bundle read(Path place, Trust trust) {
    return read(new BundleFiles(place, trust));
  }

  static Bundle read(BundleFiles files) {
    String model = files.manifest().modelFile();
    OnnxFile.requireSelfContained(files.place(model).toString(), ByteBuffer.wrap(files.verified(model)));
    return of(files, preprocessing(files));
  }

  /** Verifies every file but the graph, which an engine reads itself, or need not read. */
  static Bundle of(BundleFiles files, Preprocessing preprocessing) {
    Manifest manifest = files.manifest();
    List<String> labels = labels(files, manifest.model().classes());
    List<String> known = List.of(manifest.modelFile(), CONFIG, PREPROCESSING);
    for (String name : manifest.files().keySet()) {
      if (!known.contains(name)) {
        files.verified(name);
      }
    }
    GoldenCases golden = new GoldenCases(files);
    golden.requireFitting();
    Map<String, Long> sizes = new HashMap<>();
    for (Map.Entry<String, Manifest.FileEntry> file : manifest.files().entrySet()) {
      sizes.put(file.getKey(), file.getValue().bytes());
    }
    BundleInfo info = new BundleInfo(manifest.name(), manifest.version().toString(), manifest.operators(), manifest.precision(), labels, preprocessing, manifest.grid(),
        manifest.model().prefixTokens(), manifest.model().kept().size(), manifest.reducingBlocks(), manifest.ladder(), manifest.defaultRung(), manifest.accuracyData(), sizes,
        Sha256.of(files.document()), files.graph().sha256());
    return new Bundle(info, manifest.model(), files.graph(), golden);
  }

  /**
   * Reads the golden cases, in order of their names.
   *
   * @throws BundleException if one of their files is missing or another by now
   */
  public List<Golden> golden() {
    return goldenCases.read();
  }

  /** The counts that a choice means for this bundle; the default rung (or all tokens) if there is none. */
  public Budget budget(Optional<Keep> choice) {
    int patches = info.grid() * info.grid();
    if (choice.isEmpty()) {
      return info.defaultRung().isPresent() ? rung(info.defaultRung().get()) : ratio(1, patches);
    }
    Keep keep = choice.get();
    if (keep instanceof Keep.Ratio ratio) {
      return ratio(ratio.ratio(), patches);
    }
    return keep instanceof Keep.Named named ? rung(named.name()) : counts(((Keep.Counts) keep).counts(), patches);
  }

  /** The ladder; without one the only budget there is. */
  public List<Rung> rungs() {
    return info.ladder().isEmpty() ? List.of(new Rung("all", budget(Optional.empty()).keep(), 0, 0, OptionalDouble.empty())) : info.ladder();
  }

  private static Budget budgetOf(Rung rung) {
    return new Budget(rung.keep(), Optional.of(rung.name()));
  }

  private Budget rung(String name) {
    for (Rung rung : info.ladder()) {
      if (rung.name().equals(name)) {
        return budgetOf(rung);
      }
    }
    String names = info.ladder().stream().map(Rung::name).collect(Collectors.joining(", "));
    throw new IllegalArgumentException("keep must be a rung of bundle \"" + info.name() + "\" (" + names + "): " + name);
  }

  private Budget ratio(double ratio, int patches) {
    if (!info.ladder().isEmpty()) {
      for (Rung rung : info.ladder()) {
        if (rung.keepFrom() <= ratio + 1e-9) { // the manifest's ratios are decimals; half of the last one's weight forgives binary fractions
          return budgetOf(rung);
        }
      }
      return budgetOf(info.ladder().get(info.ladder().size() - 1));
    }
    List<Integer> counts = new ArrayList<>();
    int incoming = patches;
    for (int stage = 0; stage < info.stages(); stage++) {
      incoming = (int) Math.ceil(ratio * incoming - 1e-9);
      counts.add(incoming);
    }
    return new Budget(counts, Optional.empty());
  }

  private Budget counts(List<Integer> counts, int patches) {
    int incoming = patches;
    boolean falling = counts.size() == info.stages();
    for (int count : counts) {
      falling = falling && count >= 1 && count <= incoming;
      incoming = count;
    }
    if (!falling) {
      throw new IllegalArgumentException("keep must have " + info.stages() + " counts that fall from at most " + patches + " and are at least 1: " + counts);
    }
    for (Rung rung : info.ladder()) {
      if (rung.keep().equals(counts)) {
        return budgetOf(rung);
      }
    }
    return new Budget(List.copyOf(counts), Optional.empty());
  }

  private static List<String> labels(BundleFiles files, int classes) {
    String file = files.place(CONFIG).toString();
    Json json = Json.parse(file, files.verified(CONFIG));
    Map<String, String> names = json.object("id2label").textsByKey();
    json.ignoreRest();
    List<String> labels = new ArrayList<>();
    for (int i = 0; i < classes; i++) {
      String label = names.remove(String.valueOf(i));
      if (label == null) {
        throw new BundleException("labels", file + ": id2label: expected names for classes 0.." + (classes - 1) + ", found none for " + i + "; export the bundle again.");
      }
      labels.add(label);
    }
    if (!names.isEmpty()) {
      throw new BundleException("labels", file + ": id2label: expected names for classes 0.." + (classes - 1) + ", found also " + names.keySet().iterator().next() + "; export the bundle again.");
    }
    return labels;
  }

  static Preprocessing preprocessing(BundleFiles files) {
    ModelSpec model = files.manifest().model();
    String file = files.place(PREPROCESSING).toString();
    Json json = Json.parse(file, files.verified(PREPROCESSING));
    Json size = json.object("size");
    int shortSide = (int) size.integer("shortest_edge", 1, 8192);
    size.end();
    Json crop = json.object("crop_size");
    int edge = (int) crop.integer("height", 1, 8192);
    long width = crop.integer("width", 1, 8192);
    crop.end();
    boolean usual = json.flag("do_resize") & json.flag("do_center_crop") & json.flag("do_rescale") & json.flag("do_normalize");
    long resample = json.integer("resample", 0, 10);
    double factor = json.number("rescale_factor");
    List<Float> mean = json.numbers("image_mean");
    List<Float> std = json.numbers("image_std");
    json.ignoreRest();
    if (!usual || resample != 3 || Math.abs(factor * 255 - 1) > 1e-6 || width != edge || edge != model.imageShape()[2]) {
      throw new BundleException("preprocessing", file + ": expected bicubic resizing (resample 3), a centre crop of " + model.imageShape()[2]
          + " pixels, rescaling by 1/255 and normalisation, found something else; export the bundle again.");
    }
    try {
      return new Preprocessing(shortSide, edge, mean, std);
    } catch (IllegalArgumentException e) {
      throw new BundleException("preprocessing", file + ": " + e.getMessage() + "; export the bundle again.", e);
    }
  }
}
