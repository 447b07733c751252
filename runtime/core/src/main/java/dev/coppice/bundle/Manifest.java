package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.Rung;
import dev.coppice.api.Version;
import dev.coppice.tensor.ModelSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;

/** The content of {@code bundle.json}; docs/reference/bundle.md explains each key. */
record Manifest(
    String name,
    Version version,
    List<String> operators,
    String modelFile,
    String precision,
    ModelSpec model,
    int patches,
    int grid,
    List<Integer> reducingBlocks,
    List<Rung> ladder,
    Optional<String> defaultRung,
    Optional<String> accuracyData,
    List<String> golden,
    Map<String, FileEntry> files) {

  static final int FORMAT = 1;
  static final String NAME = "[a-z0-9][a-z0-9._-]{0,63}";
  static final int OPERATOR_VERSION = 1;
  static final Version RUNTIME = new Version(0, 1, 0, "");
  private static final List<String> OPERATORS = List.of("AttentionBlock", "EncoderBlock", "HallucinatedAttention", "ImageToTensor",
      "LinearAttention", "MergeTokens", "MlpBlock", "PatchMerger", "PruneMergeTokens", "SampleTokens", "ThresholdTokens", "TokenAttention",
      "TokenScores", "TopKTokens");
  private static final List<String> PRECISIONS = List.of("float16", "float16-compute", "float32", "int8-dynamic", "int8-static");
  private static final int MOST_TOKENS = 1 << 20;
  private static final long MOST_FILE_BYTES = 1L << 30;

  /** Size and hash of a file of the bundle. */
  record FileEntry(long bytes, String sha256) {}

  static Manifest parse(String file, byte[] document) {
    Json json = Json.parse(file, document);
    long format = json.integer("format", 0, Integer.MAX_VALUE);
    if (format != FORMAT) {
      throw new BundleException("version", file + ": the bundle has format " + format + ", this runtime reads format " + FORMAT
          + "; use a newer Coppice.");
    }
    String name = json.text("name");
    require(file, "name", NAME, name, name.matches(NAME)); // with the version it becomes names of folders
    Version version = version(file, "version", json.text("version"));
    requireRuntime(name, version(file, "runtime", json.text("runtime")));
    List<String> operators = operators(name, json.object("operators"));
    String modelFile = json.text("model");
    String precision = json.has("precision") ? json.text("precision") : "float32";
    require(file, "precision", "one of " + String.join(", ", PRECISIONS), precision, PRECISIONS.contains(precision));
    Json input = json.object("input");
    String image = input.text("name");
    List<Integer> shape = input.integers("shape", 1, 8192);
    input.end();
    Json keep = json.object("keep");
    String keepName = keep.text("name");
    int stages = (int) keep.integer("stages", 0, 256);
    int patches = (int) keep.integer("patches", 1, MOST_TOKENS);
    int grid = (int) keep.integer("grid", 1, 1024);
    int prefix = (int) keep.integer("prefix", 0, 1024);
    List<Integer> blocks = keep.has("blocks") ? keep.integers("blocks", 0, 1023) : List.of();
    keep.end();
    Json outputs = json.object("outputs");
    Json logits = outputs.object("logits");
    String logitsName = logits.text("name");
    List<Integer> logitsShape = logits.integers("shape", 1, MOST_TOKENS);
    logits.end();
    List<String> kept = outputs.texts("kept");
    outputs.end();
    boolean square = shape.size() == 4 && shape.get(0) == 1 && shape.get(1) == 3 && shape.get(2).equals(shape.get(3));
    require(file, "input: shape", "[1,3,S,S]", shape, square);
    require(file, "outputs: logits: shape", "[1,classes]", logitsShape, logitsShape.size() == 2 && logitsShape.get(0) == 1);
    require(file, "outputs: kept", stages + " names, one a stage", kept, kept.size() == stages);
    boolean rising = blocks.isEmpty() || blocks.size() == stages && blocks.equals(List.copyOf(new TreeSet<>(blocks)));
    require(file, "keep: blocks", stages + " rising numbers, one a stage", blocks, rising);
    require(file, "keep: patches", "grid * grid = " + grid * grid, patches, patches == grid * grid);
    ModelSpec model = new ModelSpec(name, image, new long[] {1, 3, shape.get(2), shape.get(3)}, keepName, logitsName, logitsShape.get(1), kept, prefix);
    List<Rung> ladder = new ArrayList<>();
    for (Json rung : json.objects("ladder")) {
      ladder.add(rung(file, rung, stages, patches));
    }
    requireOrder(file, ladder);
    Optional<String> defaultRung = json.has("default") ? Optional.of(json.text("default")) : Optional.empty();
    require(file, "default", "the name of a rung", defaultRung.orElse("nothing"),
        ladder.isEmpty() ? defaultRung.isEmpty() : defaultRung.isPresent() && names(ladder).contains(defaultRung.get()));
    Optional<String> accuracyData = json.has("accuracy") ? Optional.of(accuracy(json.object("accuracy"))) : Optional.empty();
    List<String> golden = json.texts("golden");
    Map<String, FileEntry> files = new LinkedHashMap<>();
    for (Map.Entry<String, Json> entry : json.object("files").objectsByKey().entrySet()) {
      files.put(entry.getKey(), fileEntry(entry.getValue()));
    }
    json.end();
    require(file, "files", "an entry for " + modelFile, files.keySet(), files.containsKey(modelFile));
    return new Manifest(name, version, operators, modelFile, precision, model, patches, grid, blocks, List.copyOf(ladder), defaultRung, accuracyData, golden, files);
  }

  private static void require(String file, String key, String expected, Object found, boolean holds) {
    if (!holds) {
      throw new BundleException("manifest", file + ": " + key + ": expected " + expected + ", found " + found + "; export the bundle again.");
    }
  }

  private static Version version(String file, String key, String text) {
    try {
      return Version.parse(text);
    } catch (IllegalArgumentException e) {
      throw new BundleException("manifest", file + ": " + key + ": expected SemVer such as 1.2.3, found " + text + "; export the bundle again.", e);
    }
  }

  private static void requireRuntime(String bundle, Version needed) {
    if (needed.compareTo(RUNTIME) > 0) {
      throw new BundleException("version", "Bundle \"" + bundle + "\" needs Coppice " + needed + " or newer, this is " + RUNTIME
          + "; install a newer one.");
    }
  }

  private static List<String> operators(String bundle, Json json) {
    String domain = json.text("domain");
    long version = json.integer("version", 0, Integer.MAX_VALUE);
    List<String> used = json.texts("used");
    json.end();
    for (String operator : used) {
      if (!domain.equals("dev.coppice") || !OPERATORS.contains(operator)) {
        throw new BundleException("operator", "Bundle \"" + bundle + "\" needs operator " + domain + "." + operator
            + ", this library has " + String.join(", ", OPERATORS) + "; install a newer Coppice.");
      }
      if (version > OPERATOR_VERSION) {
        throw new BundleException("operator", "Bundle \"" + bundle + "\" needs operator " + operator + " version " + version
            + ", this library has version " + OPERATOR_VERSION + "; install a newer Coppice, or export for version " + OPERATOR_VERSION + ".");
      }
    }
    return used;
  }

  private static Rung rung(String file, Json json, int stages, int patches) {
    String name = json.text("name");
    List<Integer> keep = json.integers("keep", 0, patches);
    long macs = json.integer("macs", 0, Long.MAX_VALUE);
    double keepFrom = json.number("keep_from");
    OptionalDouble top1 = json.has("top1") ? OptionalDouble.of(json.number("top1")) : OptionalDouble.empty();
    json.end();
    boolean falling = keep.size() == stages;
    int incoming = patches;
    for (int count : keep) {
      falling = falling && count >= 1 && count <= incoming;
      incoming = count;
    }
    require(file, "ladder: " + name + ": keep", stages + " counts that fall from at most " + patches + " and are at least 1", keep, falling);
    return new Rung(name, keep, macs, keepFrom, top1);
  }

  /** A ratio takes the first rung that it reaches, a name the only one. */
  private static void requireOrder(String file, List<Rung> ladder) {
    List<String> names = names(ladder);
    require(file, "ladder", "rungs of different names", names, Set.copyOf(names).size() == names.size());
    List<Double> from = new ArrayList<>();
    boolean falling = true;
    for (Rung rung : ladder) {
      falling = falling && (from.isEmpty() || rung.keepFrom() < from.get(from.size() - 1));
      from.add(rung.keepFrom());
    }
    require(file, "ladder", "keep_from to fall from rung to rung", from, falling);
  }

  private static List<String> names(List<Rung> ladder) {
    List<String> names = new ArrayList<>();
    for (Rung rung : ladder) {
      names.add(rung.name());
    }
    return names;
  }

  private static String accuracy(Json json) {
    String data = json.text("data");
    json.text("metric");
    json.end();
    return data;
  }

  private static FileEntry fileEntry(Json json) {
    FileEntry entry = new FileEntry(json.integer("bytes", 0, MOST_FILE_BYTES), json.text("sha256"));
    json.end();
    return entry;
  }
}
