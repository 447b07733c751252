package dev.coppice.device;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The board this runs on, as far as its files tell.
 *
 * @param model text of the device tree, such as {@code Raspberry Pi 5 Model B Rev 1.0}
 * @param compatible entries of the device tree, most specific first
 * @param cores marketing names of the processor cores, each once, in order
 */
public record Board(Optional<String> model, List<String> compatible, List<String> cores) {

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
    Optional<String> model = KernelFile.text(root.resolve("proc/device-tree/model")).map(Board::untilZero).filter(s -> !s.isBlank());
    List<String> compatible =
        KernelFile.text(root.resolve("proc/device-tree/compatible")).stream().flatMap(s -> Arrays.stream(s.split("\0"))).filter(s -> !s.isBlank()).toList();
    String cpuinfo = KernelFile.text(root.resolve("proc/cpuinfo")).orElse("");
    return new Board(model, compatible, cores(cpuinfo));
  }

  /** One line for people. */
  public String description() {
    String processor = cores.isEmpty() ? "unknown processor" : String.join(" + ", cores);
    return model.map(m -> m + " (" + processor + ")").orElse(processor);
  }

  private static List<String> cores(String cpuinfo) {
    List<String> implementers = values(cpuinfo, "CPU implementer").toList();
    List<String> parts = values(cpuinfo, "CPU part").toList();
    if (parts.isEmpty()) {
      return values(cpuinfo, "model name").distinct().toList();
    }
    return Stream.iterate(0, i -> i < Math.min(parts.size(), implementers.size()), i -> i + 1)
        .map(i -> implementers.get(i) + "/" + parts.get(i))
        .distinct()
        .map(id -> PARTS.getOrDefault(id, "core " + id))
        .toList();
  }

  private static Stream<String> values(String cpuinfo, String key) {
    return cpuinfo.lines().filter(line -> line.startsWith(key)).map(line -> line.substring(line.indexOf(':') + 1).strip());
  }

  private static String untilZero(String text) {
    int zero = text.indexOf('\0');
    return (zero < 0 ? text : text.substring(0, zero)).strip();
  }
}
