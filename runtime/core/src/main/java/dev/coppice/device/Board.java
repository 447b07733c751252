package dev.coppice.device;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The board this runs on, as far as its files tell.
 *
 * @param model text of the device tree, such as {@code Raspberry Pi 5 Model B Rev 1.0}
 * @param compatible entries of the device tree, most specific first
 * @param cores marketing names of the processor cores, each once, in order
 * @param architecture {@code aarch64} or {@code x86_64}
 */
public record Board(Optional<String> model, List<String> compatible, List<String> cores, Optional<String> architecture) {

  private static final Map<String, String> PARTS =
      Map.ofEntries(
          Map.entry("0x41/0xd03", "Cortex-A53"),
          Map.entry("0x41/0xd04", "Cortex-A35"),
          Map.entry("0x41/0xd05", "Cortex-A55"),
          Map.entry("0x41/0xd07", "Cortex-A57"),
          Map.entry("0x41/0xd08", "Cortex-A72"),
          Map.entry("0x41/0xd0b", "Cortex-A76"),
          Map.entry("0x41/0xd0c", "Neoverse-N1"),
          Map.entry("0x41/0xd41", "Cortex-A78"),
          Map.entry("0x41/0xd42", "Cortex-A78AE"),
          Map.entry("0x4e/0x003", "Denver 2"),
          Map.entry("0x4e/0x004", "Carmel"));

  /** Copies the lists. */
  public Board {
    compatible = List.copyOf(compatible);
    cores = List.copyOf(cores);
  }

  /** Reads the files below {@code root}, which is {@code /} on a real board. A file that cannot be read is not known. */
  public static Board probe(Path root) {
    List<String> model = known(KernelFile.text(root.resolve("proc/device-tree/model")).orElse(""));
    List<String> compatible = known(KernelFile.text(root.resolve("proc/device-tree/compatible")).orElse(""));
    String cpuinfo = KernelFile.text(root.resolve("proc/cpuinfo")).orElse("");
    return new Board(model.isEmpty() ? Optional.empty() : Optional.of(model.get(0)), compatible, cores(cpuinfo), architecture(cpuinfo));
  }

  /** One line for people. */
  public String description() {
    String processor = cores.isEmpty() ? "unknown processor" : String.join(" + ", cores);
    return model.isPresent() ? model.get() + " (" + processor + ")" : processor;
  }

  private static Optional<String> architecture(String cpuinfo) {
    if (!values(cpuinfo, "CPU implementer").isEmpty()) {
      return Optional.of("aarch64");
    }
    return values(cpuinfo, "vendor_id").isEmpty() ? Optional.empty() : Optional.of("x86_64");
  }

  private static List<String> cores(String cpuinfo) {
    List<String> implementers = values(cpuinfo, "CPU implementer");
    List<String> parts = values(cpuinfo, "CPU part");
    Set<String> names = new LinkedHashSet<>(parts.isEmpty() ? values(cpuinfo, "model name") : List.of());
    for (int core = 0; core < Math.min(parts.size(), implementers.size()); core++) {
      String id = implementers.get(core) + "/" + parts.get(core);
      names.add(PARTS.getOrDefault(id, "core " + id));
    }
    return List.copyOf(names);
  }

  private static List<String> values(String cpuinfo, String key) {
    List<String> values = new ArrayList<>();
    for (String line : cpuinfo.split("\n")) {
      if (line.startsWith(key)) {
        values.add(line.substring(line.indexOf(':') + 1).strip());
      }
    }
    return values;
  }

  /** The texts in a file of the device tree, each of which ends in a zero. */
  private static List<String> known(String file) {
    List<String> texts = new ArrayList<>();
    for (String text : file.split("\0")) {
      if (!text.isBlank()) {
        texts.add(text.strip());
      }
    }
    return texts;
  }
}
