package dev.coppice.api;

import java.util.List;
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
 */
public record DeviceState(List<Integer> megahertz, List<String> governors, OptionalDouble celsius, OptionalLong throttled, OptionalLong cooling,
    OptionalLong swapIns, OptionalLong ticks, OptionalLong busyTicks, OptionalLong ownTicks) {

  /** Copies the lists. */
  public DeviceState {
    megahertz = List.copyOf(megahertz);
    governors = List.copyOf(governors);
  }
}
