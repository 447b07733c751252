package dev.coppice.device;

import dev.coppice.api.DeviceState;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Reads the state of a board from the kernel's files; devices/README.md says which. */
public final class DeviceReader implements AutoCloseable {

  private static final Pattern COOLS_PROCESSOR = Pattern.compile("(?i)cpu|processor");
  private static final Pattern SOME_WAITED = Pattern.compile("(?m)^some .*total=(\\d{1,18})$");
  private static final String THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"; // Raspberry Pi's kernels

  private final Path root;
  private final Sensors sensors;
  private final List<Path> policies;
  private final List<Path> cooling;
  private final Map<String, String> unknown = new LinkedHashMap<>();

  /** Finds the files below {@code root}, which is {@code /} on a real board. */
  public DeviceReader(Path root) {
    this.root = root;
    sensors = new Sensors(root);
    policies = Sensors.matching(root.resolve("sys/devices/system/cpu/cpufreq"), "policy*");
    cooling = Sensors.matching(root.resolve("sys/class/thermal"), "cooling_device*").stream()
        .filter(device -> text("type of a cooling device", device.resolve("type")).filter(type -> COOLS_PROCESSOR.matcher(type).find()).isPresent()).toList();
  }

  /** The present state. */
  public DeviceState read() {
    List<Integer> megahertz = new ArrayList<>();
    List<String> governors = new ArrayList<>();
    for (Path policy : policies) {
      number("clock", policy.resolve("scaling_cur_freq"), 10).ifPresent(kilohertz -> megahertz.add((int) (kilohertz / 1000)));
      text("governor", policy.resolve("scaling_governor")).ifPresent(governors::add);
    }
    if (policies.isEmpty()) {
      unknown.put("clock and governor", "no policy in " + shown(root.resolve("sys/devices/system/cpu/cpufreq")));
    }
    double celsius = sensors.celsius();
    if (Double.isNaN(celsius)) {
      unknown.put("temperature", "no readable zone of the processor in " + shown(root.resolve("sys/class/thermal")));
    }
    OptionalLong highest = OptionalLong.empty();
    for (Path device : cooling) {
      OptionalLong state = number("cooling", device.resolve("cur_state"), 10);
      highest = state.isPresent() ? OptionalLong.of(Math.max(state.getAsLong(), highest.orElse(0))) : highest;
    }
    OptionalLong swapIns = text("swap", root.resolve("proc/vmstat")).flatMap(t -> t.lines().filter(line -> line.startsWith("pswpin ")).findFirst())
        .map(line -> whole(line.substring(7), 10)).orElse(OptionalLong.empty());
    Optional<String> memory = text("memory", root.resolve("proc/meminfo"));
    List<Long> ticks = text("load", root.resolve("proc/stat")).map(DeviceReader::ticks).orElse(List.of());
    return new DeviceState(megahertz, governors, Double.isNaN(celsius) ? OptionalDouble.empty() : OptionalDouble.of(celsius),
        number("throttle bits", root.resolve(THROTTLED), 16), highest, swapIns, sum(ticks, false), sum(ticks, true),
        text("load of this process", root.resolve("proc/self/stat")).map(DeviceReader::ownTicks).orElse(OptionalLong.empty()),
        memory.map(text -> KernelFile.mib(text, "MemAvailable:")).orElse(OptionalLong.empty()), memory.map(text -> KernelFile.mib(text, "SwapFree:")).orElse(OptionalLong.empty()),
        new DeviceState.Stalled(stalled("processor", "cpu"), stalled("memory", "memory"), stalled("disk", "io")));
  }

  /** What was not told so far, and why. */
  public Map<String, String> unknown() {
    return Map.copyOf(unknown);
  }

  /** User, nice, system, idle, I/O wait, interrupts, soft interrupts and stolen time of all processors. */
  private static List<Long> ticks(String stat) {
    String[] fields = stat.lines().findFirst().orElse("").split(" +");
    return fields.length < 9 || !fields[0].equals("cpu") ? List.of() : Stream.of(fields).skip(1).limit(8).map(Long::valueOf).toList();
  }

  private static OptionalLong sum(List<Long> ticks, boolean onlyBusy) {
    return ticks.isEmpty() ? OptionalLong.empty() : OptionalLong.of(ticks.stream().mapToLong(Long::longValue).sum() - (onlyBusy ? ticks.get(3) + ticks.get(4) : 0));
  }

  /** User and system time, fields 14 and 15; the name before them may hold spaces and brackets. */
  private static OptionalLong ownTicks(String stat) {
    String[] fields = stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ");
    return fields.length < 13 ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(fields[11]) + Long.parseLong(fields[12]));
  }

  private OptionalLong stalled(String what, String resource) {
    Optional<Matcher> line = text("pressure of " + what, root.resolve("proc/pressure").resolve(resource)).map(SOME_WAITED::matcher);
    return line.filter(Matcher::find).map(found -> OptionalLong.of(Long.parseLong(found.group(1)))).orElse(OptionalLong.empty());
  }

  private OptionalLong number(String what, Path file, int radix) {
    return text(what, file).map(text -> whole(text, radix)).orElse(OptionalLong.empty());
  }

  private static OptionalLong whole(String text, int radix) {
    String digits = text.strip().replaceFirst("^0x", "");
    try {
      return OptionalLong.of(Long.parseLong(digits, radix));
    } catch (NumberFormatException unreadable) {
      return OptionalLong.empty();
    }
  }

  private Optional<String> text(String what, Path file) {
    try {
      return Optional.of(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).strip());
    } catch (NoSuchFileException e) {
      unknown.put(what, "no " + shown(file));
    } catch (AccessDeniedException e) {
      unknown.put(what, "no permission to read " + shown(file));
    } catch (IOException e) {
      unknown.put(what, shown(file) + " cannot be read");
    }
    return Optional.empty();
  }

  /** As the board has it, wherever its files are. */
  private String shown(Path file) {
    return "/" + root.relativize(file);
  }

  @Override
  public void close() {
    sensors.close();
  }
}
