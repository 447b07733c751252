package dev.coppice.device;

import dev.coppice.api.DeviceState;
import dev.coppice.api.Diagnostics.Finding;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/** What a machine is, and what is wrong with it for our purpose; docs/reference/command-line.md explains every key and code. */
public final class Checkup {

  /** A ViT-Tiny with its JVM: the least that is worth beginning with. */
  private static final long LEAST_MIB = 250;

  /** Below the throttle point so many kelvin the scheduler closes rungs. */
  private static final double HEAT_BAND = 5;

  /** These drivers call their ordinary governor, which follows the load, powersave. */
  private static final Pattern OWN_POWERSAVE = Pattern.compile("intel_pstate|amd-pstate.*");

  private final Path root;
  private final int threads;
  private final Path temporary;
  private final Map<String, String> facts = new LinkedHashMap<>();
  private final List<Finding> findings = new ArrayList<>();

  /**
   * Looks at the files below {@code root}, which is {@code /} on a real machine.
   *
   * @param threads of one run
   * @param temporary where ONNX Runtime unpacks its library; empty if it need not
   */
  public Checkup(Path root, int threads, Optional<Path> temporary) {
    this.root = root;
    this.threads = threads;
    this.temporary = temporary.orElse(null);
    Board board = Board.probe(root);
    Optional<BoardProfile> profile = BoardProfile.of(board);
    facts.put("board", board.description());
    facts.put("profile", profile.map(BoardProfile::key).orElse("none"));
    profile.flatMap(BoardProfile::unsupported).ifPresent(why -> wrong("board.unsupported", why + "."));
    ControlGroup group = ControlGroup.probe(root);
    processors(group.processors());
    clocks();
    try (DeviceReader reader = new DeviceReader(root)) {
      DeviceState state = reader.read();
      throttled(state.throttled());
      heat(board, profile.map(BoardProfile::throttleCelsius).orElse(OptionalDouble.empty()), state.celsius().orElse(Double.NaN));
    }
    memory(group.memoryMib());
    facts.put("onnx runtime library", mapped("libonnxruntime.so"));
    temporaryFolder();
  }

  /** By key, in the order of a report. */
  public Map<String, String> facts() {
    return facts;
  }

  /** What is wrong, and what to do. */
  public List<Finding> findings() {
    return findings;
  }

  private void wrong(String code, String sentence, Object... values) {
    findings.add(new Finding(code, String.format(Locale.ROOT, sentence, values)));
  }

  private void processors(OptionalDouble quota) {
    List<Integer> workers = ThreadPlan.probe(root, threads).workers();
    facts.put("processors", KernelFile.text(root.resolve("sys/devices/system/cpu/online")).map(String::strip).orElse("unknown"));
    facts.put("threads", threads + (workers.isEmpty() ? ", anywhere" : ", the workers on processors " + workers));
    facts.put("cpu quota", quota.isPresent() ? String.format(Locale.ROOT, "%.2f processors", quota.getAsDouble()) : "none");
    if (quota.isPresent() && quota.getAsDouble() < threads) {
      wrong("container.cpu", "The control group allows %.2f processors, a run uses %d threads, so it is stopped in its middle; raise the quota or open bundles with fewer threads.",
          quota.getAsDouble(), threads);
    }
  }

  private void clocks() {
    List<String> clocks = new ArrayList<>();
    for (Path policy : Sensors.matching(root.resolve("sys/devices/system/cpu/cpufreq"), "policy*")) {
      String name = policy.getFileName().toString();
      String governor = KernelFile.text(policy.resolve("scaling_governor")).map(String::strip).orElse("unknown governor");
      String driver = KernelFile.text(policy.resolve("scaling_driver")).map(String::strip).orElse("");
      clocks.add(name + " " + megahertz(policy, "scaling_cur_freq") + " of " + megahertz(policy, "cpuinfo_max_freq") + " MHz, " + governor);
      if (governor.equals("powersave") && !OWN_POWERSAVE.matcher(driver).matches()) {
        wrong("clock.powersave", "The clock of %s stays at its lowest (governor powersave); set another: echo schedutil | sudo tee %s/scaling_governor.", name,
            "/" + root.relativize(policy));
      }
    }
    facts.put("clocks", clocks.isEmpty() ? "unknown" : String.join("; ", clocks));
  }

  private static String megahertz(Path policy, String file) {
    return KernelFile.number(policy.resolve(file)).map(kilohertz -> String.valueOf(kilohertz / 1000)).orElse("?");
  }

  /** Raspberry Pi's firmware tells what it does: bits 0 to 3 now, 16 to 19 since the start. */
  private void throttled(OptionalLong bits) {
    facts.put("throttled", bits.isPresent() ? "0x" + Long.toHexString(bits.getAsLong()) : "unknown");
    if (bits.orElse(0) % 2 == 1) {
      wrong("clock.voltage", "The firmware sees too little voltage and lowers the clock; use the board's own power supply and a short cable.");
    } else if ((bits.orElse(0) & 0xe) != 0) {
      wrong("clock.throttled", "The firmware lowers the clock because of heat; give the board a heat sink, a fan or air.");
    }
  }

  private void heat(Board board, OptionalDouble throttle, double celsius) {
    facts.put("temperature", Double.isNaN(celsius) ? "unknown" : String.format(Locale.ROOT, "%.1f degrees Celsius", celsius));
    facts.put("throttle point", throttle.isPresent() ? String.format(Locale.ROOT, "%.0f degrees Celsius", throttle.getAsDouble()) : "unknown");
    if (throttle.isPresent() && celsius > throttle.getAsDouble() - HEAT_BAND) {
      wrong("heat.near", "The processor has %.1f degrees Celsius and its clock is cut at %.0f, so the scheduler spends fewer tokens; give the board a heat sink, a fan or air.",
          celsius, throttle.getAsDouble());
    }
    if (board.model().isPresent() && Double.isNaN(celsius)) { // a virtual machine has none, and that is right
      wrong("heat.unknown", "No thermal zone of the processor can be read below /sys/class/thermal, so the scheduler cannot see heat coming; enable the kernel's thermal driver.");
    }
  }

  private void memory(OptionalLong limit) {
    String text = KernelFile.text(root.resolve("proc/meminfo")).orElse("");
    long available = KernelFile.mib(text, "MemAvailable:").orElse(-1);
    long swap = KernelFile.mib(text, "SwapTotal:").orElse(-1);
    long free = KernelFile.mib(text, "SwapFree:").orElse(-1);
    facts.put("memory", available < 0 ? "unknown" : available + " of " + KernelFile.mib(text, "MemTotal:").orElse(-1) + " MiB available");
    facts.put("swap", swap < 0 ? "unknown" : free + " of " + swap + " MiB free");
    facts.put("memory limit", limit.isPresent() ? limit.getAsLong() + " MiB" : "none");
    if (available >= 0 && available < LEAST_MIB) {
      wrong("memory.low", "%d MiB of memory are available, a small model and its JVM need %d; stop what else runs.", available, LEAST_MIB);
    }
    if (swap > 0 && free * 10 < swap) {
      wrong("memory.swap", "The swap is nearly full (%d of %d MiB free), so runs wait for the disk and programs will be killed; stop what else runs.", free, swap);
    }
    if (limit.isPresent() && limit.getAsLong() < LEAST_MIB) {
      wrong("container.memory", "The control group allows %d MiB of memory, a small model and its JVM need %d; raise the limit.", limit.getAsLong(), LEAST_MIB);
    }
  }

  /** The file of this name that this process has loaded. */
  private String mapped(String name) {
    return KernelFile.text(root.resolve("proc/self/maps")).stream().flatMap(String::lines).filter(line -> line.contains("/" + name))
        .map(line -> line.substring(line.indexOf('/'))).findFirst().orElse("not loaded");
  }

  private void temporaryFolder() {
    if (temporary == null) {
      return;
    }
    facts.put("temporary folder", temporary + ", " + (temporary.toFile().getUsableSpace() >> 20) + " MiB free");
    String mount = "";
    String options = "";
    for (String line : KernelFile.text(root.resolve("proc/self/mounts")).orElse("").lines().toList()) {
      String[] parts = line.split(" "); // device, folder, type, options
      if (parts.length > 3 && temporary.startsWith(parts[1]) && parts[1].length() >= mount.length()) {
        mount = parts[1];
        options = parts[3];
      }
    }
    if (List.of(options.split(",")).contains("noexec")) {
      wrong("disc.noexec", "ONNX Runtime unpacks its library to %s, where nothing may be executed (%s is mounted noexec); give another folder with -Djava.io.tmpdir, or an unpacked library with -Donnxruntime.native.path.",
          temporary, mount);
    }
  }
}
