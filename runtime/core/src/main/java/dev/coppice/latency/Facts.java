package dev.coppice.latency;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Diagnostics;
import dev.coppice.device.Board;
import dev.coppice.device.BoardProfile;
import dev.coppice.device.Machine;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
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
    return BoardProfile.of(Board.probe(Objects.requireNonNull(root, "root"))).map(BoardProfile::key).orElse(UNKNOWN);
  }

  /**
   * Why a limit for these boards does not apply to the one with these files; empty if it is one of them, or none is named.
   *
   * @throws IllegalArgumentException if a name is none of {@link #boards()}
   */
  public static Optional<String> otherBoard(Path root, List<String> wanted) {
    Objects.requireNonNull(root, "root");
    List<String> known = boards();
    Objects.requireNonNull(wanted, "wanted").stream().filter(board -> !known.contains(board)).findFirst().ifPresent(board -> {
      throw new IllegalArgumentException("devices must be of " + known + ": " + board);
    });
    String here = board(root);
    return wanted.isEmpty() || wanted.contains(here) ? Optional.empty()
        : Optional.of("the limit is meant for " + String.join(", ", wanted) + ", and this board is " + (here.equals(UNKNOWN) ? "none that Coppice knows" : here));
  }

  /** The machine; docs/reference/latency-report.md explains each key. */
  public static Map<String, String> machine(Path root, Diagnostics found) {
    Objects.requireNonNull(found, "found");
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("board", board(root));
    facts.put("machine", Board.probe(root).description());
    facts.put("processors", String.valueOf(Runtime.getRuntime().availableProcessors()));
    Machine machine = Machine.probe(root);
    facts.put("clock_range_mhz", machine.clocks().isEmpty() ? UNKNOWN : String.join(" ", machine.clocks()));
    facts.put("memory_mib", text(machine.memoryMib()));
    facts.put("swap_mib", text(machine.swapMib()));
    facts.put("power_mode", machine.powerMode().orElse(UNKNOWN));
    // Who builds a kernel may add a name to its version.
    facts.put("platform", found.facts().getOrDefault("platform", UNKNOWN).replaceFirst("(\\d+(?:\\.\\d+)*)[^,]*", "$1"));
    for (String key : List.of("glibc", "java")) {
      facts.put(key, found.facts().getOrDefault(key, UNKNOWN));
    }
    // Other flags may hold names and paths.
    facts.put("jvm_flags", ManagementFactory.getRuntimeMXBean().getInputArguments().stream().filter(flag -> flag.matches("-X[A-Za-z0-9:+=%.-]*")).collect(Collectors.joining(" ")));
    facts.put("collectors", ManagementFactory.getGarbageCollectorMXBeans().stream().map(GarbageCollectorMXBean::getName).collect(Collectors.joining(", ")));
    facts.put("onnxruntime", found.facts().getOrDefault("onnx runtime", UNKNOWN));
    facts.put("library_sha256", found.facts().getOrDefault("operators sha256", UNKNOWN));
    facts.put("isa", found.facts().getOrDefault("isa", UNKNOWN));
    return facts;
  }

  /** The model and how it is run. */
  public static Map<String, String> model(BundleInfo bundle, int threads) {
    Objects.requireNonNull(bundle, "bundle");
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("bundle", bundle.name() + " " + bundle.version());
    facts.put("bundle_sha256", bundle.sha256());
    facts.put("model_sha256", bundle.modelSha256());
    facts.put("precision", bundle.precision());
    facts.put("threads", String.valueOf(threads));
    return facts;
  }

  private static String text(OptionalLong value) {
    return value.isPresent() ? String.valueOf(value.getAsLong()) : UNKNOWN;
  }
}
