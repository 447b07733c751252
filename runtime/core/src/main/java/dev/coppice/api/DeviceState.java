package dev.coppice.api;

import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What a board does at one moment. Whatever it does not tell is absent and never guessed.
 *
 * @param megahertz present clock of each cluster, the first processor's first
 * @param governors of the same clusters
 * @param celsius the hottest zone of the processor
 * @param throttled bits of a Raspberry Pi's {@code get_throttled}: 0 to 3 now, 16 to 19 since it was started
 * @param cooling the highest state of the processors' cooling devices; above 0 the kernel holds the clock down
 * @param swapIns pages that came back from swap since the start
 * @param ticks of all processors since the start, in 1/100 s
 * @param busyTicks the part of them that was work
 * @param ownTicks the part of that that this process did
 * @param availableMib memory that could be had without swapping
 * @param freeSwapMib swap that is not in use
 * @param stalled time for which something had to wait
 */
public record DeviceState(List<Integer> megahertz, List<String> governors, OptionalDouble celsius, OptionalLong throttled, OptionalLong cooling,
    OptionalLong swapIns, OptionalLong ticks, OptionalLong busyTicks, OptionalLong ownTicks, OptionalLong availableMib, OptionalLong freeSwapMib, Stalled stalled) {

  /** Microseconds since the start in which some task waited for a processor, for memory, for a disk (the kernel's pressure stall information). */
  public record Stalled(OptionalLong processor, OptionalLong memory, OptionalLong disk) {

    /** Checks that nothing is missing. */
    public Stalled {
      Objects.requireNonNull(processor, "processor");
      Objects.requireNonNull(memory, "memory");
      Objects.requireNonNull(disk, "disk");
    }
  }

  /** Copies the lists. */
  public DeviceState {
    Objects.requireNonNull(celsius, "celsius");
    Objects.requireNonNull(throttled, "throttled");
    Objects.requireNonNull(cooling, "cooling");
    Objects.requireNonNull(swapIns, "swapIns");
    Objects.requireNonNull(ticks, "ticks");
    Objects.requireNonNull(busyTicks, "busyTicks");
    Objects.requireNonNull(ownTicks, "ownTicks");
    Objects.requireNonNull(availableMib, "availableMib");
    Objects.requireNonNull(freeSwapMib, "freeSwapMib");
    megahertz = List.copyOf(Objects.requireNonNull(megahertz, "megahertz"));
    governors = List.copyOf(Objects.requireNonNull(governors, "governors"));
    Objects.requireNonNull(stalled, "stalled");
  }
}
