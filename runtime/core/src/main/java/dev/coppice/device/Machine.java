package dev.coppice.device;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What of a machine does not change while a model is measured. Whatever it does not tell is absent and never guessed.
 *
 * @param memoryMib of the whole machine
 * @param swapMib of all swap, 0 without any
 * @param clocks lowest and highest clock of each cluster in MHz, such as {@code 1500-2400}; empty if unknown
 * @param powerMode a Jetson's {@code nvpmodel}, or the firmware's platform profile
 */
public record Machine(OptionalLong memoryMib, OptionalLong swapMib, List<String> clocks, Optional<String> powerMode) {

  private static final Pattern MODE = Pattern.compile("pmode:0*(\\d+)");

  /** Copies the list. */
  public Machine {
    clocks = List.copyOf(clocks);
  }

  /** Reads the files below {@code root}, which is {@code /} on a real board. */
  public static Machine probe(Path root) {
    String memory = KernelFile.text(root.resolve("proc/meminfo")).orElse("");
    List<String> clocks = Sensors.matching(root.resolve("sys/devices/system/cpu/cpufreq"), "policy*").stream()
        .map(policy -> megahertz(policy, "cpuinfo_min_freq") + "-" + megahertz(policy, "cpuinfo_max_freq")).toList();
    return new Machine(KernelFile.mib(memory, "MemTotal:"), KernelFile.mib(memory, "SwapTotal:"), clocks,
        jetson(root).or(() -> KernelFile.text(root.resolve("sys/firmware/acpi/platform_profile")).map(String::strip)));
  }

  private static String megahertz(Path policy, String file) {
    return KernelFile.number(policy.resolve(file)).map(kilohertz -> String.valueOf(kilohertz / 1000)).orElse("unknown");
  }

  /** {@code nvpmodel} leaves the number of its mode in one file and has the names in another. */
  private static Optional<String> jetson(Path root) {
    Optional<String> number = KernelFile.text(root.resolve("var/lib/nvpmodel/status")).map(MODE::matcher).filter(Matcher::find).map(found -> found.group(1));
    return number.map(id -> {
      Matcher name = Pattern.compile("POWER_MODEL\\s+ID=0*" + id + "\\s+NAME=(\\w+)").matcher(KernelFile.text(root.resolve("etc/nvpmodel.conf")).orElse(""));
      return name.find() ? name.group(1) + " (" + id + ")" : id;
    });
  }
}
