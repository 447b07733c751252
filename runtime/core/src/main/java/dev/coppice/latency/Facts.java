package dev.coppice.latency;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Diagnostics;
import dev.coppice.device.Board;
import dev.coppice.device.BoardProfile;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** What a time depends on, for reports. Nothing in it names a person, a host or a folder. */
public final class Facts {

  private static final String UNKNOWN = "unknown";

  private Facts() {}

  /** Keys of the boards that tests and reports may name. */
  public static List<String> boards() {
    return BoardProfile.all().stream().map(BoardProfile::key).toList();
  }

  /** The key of the board with these files ({@code /} on a real one), or {@code unknown}. */
  public static String board(Path root) {
    return BoardProfile.of(Board.probe(root)).map(BoardProfile::key).orElse(UNKNOWN);
  }

  /** The machine; docs/reference/latency-report.md explains each key. */
  public static Map<String, String> machine(Path root, Diagnostics found) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("board", board(root));
    facts.put("machine", Board.probe(root).description());
    facts.put("processors", String.valueOf(Runtime.getRuntime().availableProcessors()));
    for (String key : List.of("platform", "glibc", "java")) {
      facts.put(key, found.facts().getOrDefault(key, UNKNOWN));
    }
    // Other flags may hold names and paths.
    facts.put("jvm_flags", ManagementFactory.getRuntimeMXBean().getInputArguments().stream().filter(flag -> flag.matches("-X[A-Za-z0-9:+=%.-]*")).collect(Collectors.joining(" ")));
    facts.put("collectors", ManagementFactory.getGarbageCollectorMXBeans().stream().map(GarbageCollectorMXBean::getName).collect(Collectors.joining(", ")));
    facts.put("onnxruntime", found.facts().getOrDefault("onnx runtime", UNKNOWN));
    facts.put("isa", found.facts().getOrDefault("isa", UNKNOWN));
    return facts;
  }

  /** The model and how it is run. */
  public static Map<String, String> model(BundleInfo bundle, List<Integer> keep, int threads) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("bundle", bundle.name() + " " + bundle.version());
    facts.put("precision", bundle.precision());
    facts.put("keep", keep.stream().map(String::valueOf).collect(Collectors.joining(",")));
    facts.put("threads", String.valueOf(threads));
    return facts;
  }
}
